"""A run read back from its directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, final

import yaml
from torch import Tensor

from flows.config import build
from flows.core import Density, Spec
from flows.errors import UserError
from flows.training import checkpoint, table
from flows.training.player import fill, within


@final
class Saved:
    """A run's directory, read without trust: nothing in it is executed, only allowed targets are built.

    Args:
        path: The directory.

    Raises: UserError if it isn't a run's.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.config: dict[str, Any] = yaml.safe_load((self.path / "config.yaml").read_text())
            self.facts: dict[str, Any] = json.loads((self.path / "run.json").read_text())
            self.spec = _spec(self.facts["spec"])
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise UserError(f"{self.path}: not a run's directory ({error})") from error

    def density(self, checkpoint: str = "best", trusted: tuple[str, ...] = ()) -> Density:
        """The trained model, its averaged weights on the CPU, ready to score and sample.

        Args:
            checkpoint: "best" or "last".
            trusted: Packages of the user's own that its configuration may name.

        Raises: UserError if there is no whole checkpoint or its weights don't fit the model.
        """
        if "model" not in self.config:
            raise UserError(f"{self.path / 'config.yaml'}: names no model")
        model = build(self.config["model"], "model", trusted=trusted, spec=self.spec)
        fill(model, self.weights(checkpoint))
        return cast("Density", model.eval().requires_grad_(False))

    def weights(self, kind: str = "best") -> dict[str, Tensor]:
        """The averaged weights of the newest whole checkpoint of that kind, by name."""
        found = checkpoint.newest(self.path / "checkpoints" / kind)
        if found is None:
            raise UserError(f"{self.path}: no whole checkpoint in checkpoints/{kind}")
        return within(checkpoint.read(found).tensors["model"], "average.")

    def metrics(self) -> list[dict[str, float | None]]:
        """Rows of metrics.csv; None where a metric wasn't measured."""
        rows = table.read(self.path / "metrics.csv")
        return [{name: float(cell) if cell else None for name, cell in row.items()} for row in rows]


def _spec(saved: Mapping[str, Any]) -> Spec:
    """A Spec from JSON, lists back to tuples."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return Spec(**{name: tuples(value) for name, value in saved.items()})
