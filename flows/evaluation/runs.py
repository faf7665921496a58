"""Finding a run, and opening it with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows.config import build
from flows.core import Dataset, Density
from flows.errors import UserError
from flows.training.fingerprint import fingerprint
from flows.training.saved import Saved

OUTPUTS = Path("outputs")


class Opened(NamedTuple):
    """A run, its model, the data it was trained on, and what is amiss with them."""

    saved: Saved
    density: Density
    dataset: Dataset
    warnings: list[str]


def find(run: str, outputs: Path = OUTPUTS) -> Path:
    """The directory of a run; `latest` is the one last written to, those of sweeps among them.

    Raises: UserError if there is no run there.
    """
    if run != "latest":
        path = Path(run)
        if not (path / "run.json").is_file():
            raise UserError(
                f"run={run}: not a run's directory, it holds no run.json; give run=PATH or run=latest"
            )
        return path
    runs = [facts.parent for facts in outputs.rglob("run.json")]
    if not runs:
        raise UserError(f"run=latest: no run under {outputs}/; train one (python train.py) or give run=PATH")
    return max(runs, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path))


def open_run(path: Path, checkpoint: str, trusted: Sequence[str]) -> Opened:
    """Load a run's model and rebuild its dataset; warns if the data is no longer what it was trained on.

    Only targets that `flows.config` allows are built, whatever the run's files name.

    Args:
        path: The run's directory.
        checkpoint: "best" or "last".
        trusted: Packages of the user's own, from the command line.

    Raises: UserError if the run can't be read or what it names isn't allowed.
    """
    saved = Saved(path)
    density = saved.density(checkpoint, tuple(trusted))
    dataset = build(saved.config["dataset"], "dataset", trusted=tuple(trusted))
    warnings = []
    train, known = dataset.source("train"), saved.facts.get("data_hash")
    if known is not None and train is not None and fingerprint(train) != known:
        warnings.append(
            "the data has changed since this run was trained: its hash is not the one saved with the run"
        )
    status = saved.facts.get("status")
    if status in ("running", "diverged"):
        warnings.append(f"this run's status is “{status}”: its numbers are those of an unfinished model")
    return Opened(saved, density, dataset, warnings)
