"""A run read back from its directory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, cast, final, get_type_hints

import yaml
from pydantic import TypeAdapter
from torch import Tensor

from flows.config import build, check_keys
from flows.core import Density, Spec
from flows.errors import UserError
from flows.training import table
from flows.training.checkpoint import newest, read
from flows.training.player import fill, within


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
        self.config = _read(self.path / "config.yaml", yaml.safe_load, _Config)
        self.facts = _read(self.path / "run.json", json.loads, _Facts)
        self.spec = TypeAdapter(Spec).validate_json(json.dumps(self.facts["spec"]))  # lists back to tuples

    def density(self, checkpoint: str = "best", trusted: tuple[str, ...] = ()) -> Density:
        """The trained model, its averaged weights on the CPU, ready to score and sample.

        Args:
            checkpoint: "best" or "last".
            trusted: Packages of the user's own that its configuration may name.

        Raises: UserError if there is no whole checkpoint or its weights don't fit the model.
        """
        model = build(self.config["model"], "model", trusted=trusted, spec=self.spec)
        fill(model, self.weights(checkpoint))
        return cast("Density", model.eval().requires_grad_(False))

    def weights(self, kind: str = "best") -> dict[str, Tensor]:
        """The averaged weights of the newest whole checkpoint of that kind, by name."""
        found = newest(self.path / "checkpoints" / kind)
        if found is None:
            raise UserError(f"{self.path}: no whole checkpoint in checkpoints/{kind}")
        return within(read(found).tensors["model"], "average.")

    def metrics(self) -> list[dict[str, float | None]]:
        """Rows of metrics.csv, none if it isn't there; None where a metric wasn't measured.

        Raises: UserError if it can't be read.
        """
        path = self.path / "metrics.csv"
        try:
            rows = table.read(path) if path.exists() else []
            return [{name: float(cell) if cell else None for name, cell in row.items()} for row in rows]
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"{path}: can't be read ({_line(error)})") from error


def _read(path: Path, load: Callable[[str], Any], schema: type) -> dict[str, Any]:
    """A mapping from a file, its keys that the program relies on there and of their types."""
    try:
        content = load(path.read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path.parent}: not a run's directory ({_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no keys; expected what training wrote there")
    known = get_type_hints(schema)
    for key in schema.__required_keys__ - content.keys():
        raise UserError(f"{path}: says nothing of the {key}, so the run can't be opened")
    try:
        check_keys({key: content[key] for key in known if key in content}, schema)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return content


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
