"""The line that a human reads first."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

_EVALUATE = Path(__file__).parents[2] / "evaluate.py"


class Outcome(NamedTuple):
    """Where a run came to; as text, one line that ends in commands to paste.

    Args:
        folder: The run's directory.
        step: Its last step.
        scores: Validation, of the best checkpoint.
        board: Whether TensorBoard has something to show.
    """

    folder: Path
    step: int
    scores: dict[str, float]
    board: bool = True

    def __str__(self) -> str:
        run = _near(self.folder)
        scores = "  ".join(f"{name} {score:.4f}" for name, score in self.scores.items())
        parts = [
            scores or f"{self.step} steps",
            f"run {shlex.quote(run)}",
            shlex.join([_program("python"), _near(_EVALUATE), f"run={_hydra(run)}"]),
        ]
        if self.board:
            parts.append(shlex.join([_program("tensorboard"), "--logdir", run]))
        return " | ".join(parts)


def _near(path: Path) -> str:
    """A path from here where that is shorter."""
    return min(os.path.relpath(path), str(path.absolute()), key=len)


def _program(name: str) -> str:
    """A program of this environment: its name where a shell would find it, else its path."""
    ours = Path(sys.executable).with_name(name)
    return name if not ours.exists() or shutil.which(name) == str(ours) else _near(ours)


def _hydra(value: str) -> str:
    """A value as Hydra's grammar wants it: in quotes of its own if it has more than plain characters."""
    if re.fullmatch(r"[\w./+@%-]+", value, re.ASCII):
        return value
    return '"' + value.replace('"', '\\"') + '"'
