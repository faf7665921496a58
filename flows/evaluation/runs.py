"""Finding a run, and opening it with all that belongs to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

from flows.config import build
from flows.core import Dataset, Density
from flows.errors import UserError
from flows.training.config_diff import FILE_KEYS
from flows.training.fingerprint import fingerprint
from flows.training.saved import Saved
from flows.wording import choose

OUTPUTS = Path("outputs")


@final
class Opened:
    """A run and its model; the data that it was trained on is read when somebody asks for it.

    So a run that came without its data can still be drawn from.

    Args:
        saved: What its directory says.
        density: Its model.
        trusted: Packages of the user's own, from the command line.
        moved: Where files of the dataset lie now, by its keys.

    Raises: UserError if the dataset has no such file.
    """

    def __init__(
        self, saved: Saved, density: Density, trusted: Sequence[str], moved: Mapping[str, str] | None = None
    ) -> None:
        self.saved = saved
        self._dataset = {**saved.config["dataset"], **(moved or {})}
        for key in moved or ():
            files = [name for name in FILE_KEYS if saved.config["dataset"].get(name) is not None]
            if key not in files:
                raise UserError(f"data.{key}: no file of this run's dataset; {choose(key, files, 'files')}")
        self.density = density
        self.warnings: list[str] = []
        self._trusted = tuple(trusted)
        status = saved.facts.get("status")
        if status in ("running", "diverged"):
            self.warnings.append(
                f"this run's status is “{status}”: its numbers are those of an unfinished model"
            )

    @cached_property
    def dataset(self) -> Dataset:
        """The data, built anew; a warning joins the others if it is no longer what it was.

        Raises: UserError if it can't be.
        """
        dataset = build(self._dataset, "dataset", trusted=self._trusted)
        train, known = dataset.source("train"), self.saved.facts.get("data_hash")
        if known is not None and train is not None and fingerprint(train) != known:
            self.warnings.append(
                "the data has changed since this run was trained: its hash is not the one saved with the run"
            )
        return dataset


def find(run: str, outputs: Path = OUTPUTS) -> Path:
    """The directory of a run; `latest` is the one last written to, those of sweeps among them.

    Raises: UserError if there is no run there.
    """
    if run != "latest":
        path = Path(run)
        if not (path / "run.json").is_file():
            raise UserError(f"run={run}: {_wrong(path)}")
        return path
    runs = [facts.parent for facts in outputs.rglob("run.json")]
    if not runs:
        raise UserError(f"run=latest: no run under {outputs}/; train one (python train.py) or give run=PATH")
    latest = max(runs, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path))
    print(f"run=latest: {latest}", file=sys.stderr)
    return latest


def _wrong(path: Path) -> str:
    """Why a path is no run's directory."""
    if not path.exists():
        return "no such folder; give run=PATH or run=latest"
    inner = next(iter(sorted(path.glob("*/run.json"))), None)
    if inner is not None:
        return f"not a run's directory but one of several; give run={inner.parent}, or sweep={path} for all"
    return "not a run's directory, it holds no run.json; give run=PATH or run=latest"


def open_run(
    path: Path, checkpoint: str, trusted: Sequence[str], moved: Mapping[str, str] | None = None
) -> Opened:
    """Load a run's model.

    Only targets that `flows.config` allows are built, whatever the run's files name.

    Args:
        path: The run's directory.
        checkpoint: "best" or "last".
        trusted: Packages of the user's own, from the command line.
        moved: Where files of the dataset lie now, by its keys.

    Raises: UserError if the run can't be read or what it names isn't allowed.
    """
    saved = Saved(path)
    return Opened(saved, saved.density(checkpoint, tuple(trusted)), trusted, moved)
