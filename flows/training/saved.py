"""A run read back from its directory."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict, cast, final, get_type_hints

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from flows.config import build, check_keys
from flows.core import Density, Spec
from flows.errors import UserError
from flows.files import check_inside
from flows.training import table
from flows.training.checkpoint import damaged, extents, most_bytes, newest, read, step_of
from flows.training.player import fill, within
from flows.training.ration import LEAST, Ration
from flows.training.sound import check_spec
from flows.training.thinned import NUMBERS
from flows.training.written import mapping
from flows.wording import choose, one_line, show

KINDS = ("best", "last")  # of checkpoints
PRECISIONS = {torch.float32, torch.float64}  # that a run computes in
_MEANT = ("names", "shape", "support", "quantum", "levels", "absent", "context_names", "context_shape")
# memory for building: bytes per saved byte, per number of an example, and a constant
_TIMES, _CELL, _SPARE = 4, 32, 2**22


class _Config(TypedDict):
    model: dict[str, Any]
    dataset: dict[str, Any]


class _Needed(TypedDict):
    spec: Spec


class _Facts(_Needed, total=False):
    step: int
    status: str
    command: str
    commit: str | None
    data_hash: str


@final
class Saved:
    """A run's directory, read without trust: nothing in it is executed, only allowed targets are built.

    Args:
        path: The directory.

    Raises: UserError if it isn't a run's.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_inside(self.path)
        self.config = _read(self.path / "config.yaml", _Config)
        self.facts = _read(self.path / "run.json", _Facts)
        self.spec = TypeAdapter(Spec).validate_json(json.dumps(self.facts["spec"]))  # lists back to tuples
        try:
            check_spec(self.spec)
        except UserError as error:
            raise UserError(f"{self.path / 'run.json'}: {error}") from error

    def density(self, checkpoint: str = "best", trusted: tuple[str, ...] = ()) -> Density:
        """The trained model, its averaged weights on the CPU, ready to score and sample.

        Args:
            checkpoint: "best" or "last".
            trusted: Packages of the user's own that its configuration may name.

        Raises: UserError if there is no whole checkpoint or its weights don't fit the model.
        """
        path = self._newest(checkpoint)
        saved = extents(path, "model")  # not read before the model says how much it can be
        with Ration(self._ration([size for name, size in saved.items() if name.startswith("average.")])):
            model = build(self.config["model"], "model", trusted=trusted, spec=self.spec)
        fill(model, _averages(path, most_bytes(model)))
        return cast("Density", model.eval().requires_grad_(False))

    def _ration(self, sizes: Iterable[int]) -> int:
        """Bytes that a model of weights of these sizes may take while it is built; of fields masks too."""
        size = sum(max(LEAST, each) for each in sizes)
        numbers = math.prod(self.spec.shape) + math.prod(self.spec.context_shape or (0,))
        return _TIMES * size + _CELL * min(numbers, NUMBERS) + _SPARE

    def check_features(self, spec: Spec) -> None:
        """Check that its weights are for these features; those for other columns may have the same shapes.

        Raises: UserError that names the first thing that differs.
        """
        check_alike(self.path, self.spec, spec)

    def weights(self, kind: str = "best", like: nn.Module | None = None) -> dict[str, Tensor]:
        """The averaged weights of the newest whole checkpoint of that kind, by name.

        Says so on stderr if there is a newer one that is damaged.

        Args:
            kind: "best" or "last".
            like: What they are for, which says how much is read at most; None for whatever there is.

        Raises: UserError if there is no such kind, or none of it, or its weights are of a precision that no
            run computes in.
        """
        return _averages(self._newest(kind), None if like is None else most_bytes(like))

    def _newest(self, kind: str) -> Path:
        """Where the newest whole checkpoint of that kind lies."""
        if kind not in KINDS:
            raise UserError(f"checkpoint={kind}: no such checkpoint; {choose(kind, KINDS, 'checkpoints')}")
        folder = self.path / "checkpoints" / kind
        path = newest(folder)
        if path is None:
            raise UserError(f"{self.path}: no whole checkpoint in checkpoints/{kind}{self._other(kind)}")
        passed_over = damaged(folder, step_of(path))
        if passed_over is not None:
            print(f"{passed_over}: damaged; taking that of step {step_of(path)}", file=sys.stderr)
        return path

    def _other(self, kind: str) -> str:
        """A hint, for an error, that there is a checkpoint of the other kind."""
        other = next(each for each in KINDS if each != kind)
        path = newest(self.path / "checkpoints" / other)
        return "" if path is None else f"; checkpoint={other} has that of step {step_of(path)}"

    def metrics(self) -> list[dict[str, float | None]]:
        """Rows of metrics.csv, none if it isn't there; None where a metric wasn't measured.

        Raises: UserError if it can't be read.
        """
        path = self.path / "metrics.csv"
        try:
            rows = table.read(path) if path.exists() else []
            if rows and "step" not in rows[0]:
                raise ValueError("no column step")
            return [{name: float(cell) if cell else None for name, cell in row.items()} for row in rows]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise UserError(f"{path}: can't be read ({one_line(error)})") from error


def _read(path: Path, schema: type) -> dict[str, Any]:
    """A mapping from a file, once the keys that the program relies on are there and of their types."""
    if not path.exists():
        raise UserError(f"{path.parent}: not a run's directory, it holds no {path.name}")
    content = mapping(path)
    known = get_type_hints(schema)
    for key in schema.__required_keys__ - content.keys():
        raise UserError(f"{path}: says nothing of the {key}, so the run can't be opened")
    try:
        check_keys({key: content[key] for key in known if key in content}, schema)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return content


def _averages(path: Path, most: int | None) -> dict[str, Tensor]:
    weights = within(read(path, most, only=("model",)).tensors["model"], "average.")
    _check_precision(weights, path)
    return weights


def _check_precision(weights: dict[str, Tensor], where: Path) -> None:
    kinds = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(kinds) != 1 or not kinds <= PRECISIONS:
        found = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds)) or "no floats"
        raise UserError(f"{where}: weights of {found}; expected all float32 or all float64")


def check_alike(path: Path, there: Spec, here: Spec) -> None:
    """Check that a run's features are these: whatever is meant by them, not how they are written.

    Raises: UserError that names the run and the first thing that differs.
    """
    for key in _MEANT:
        one, other = getattr(there, key), getattr(here, key)
        if one != other:
            difference = f"{key} is {show(one)} there and {show(other)} here"
            raise UserError(f"{path}: a model of other data: {difference}")
