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
_VALUES = {"null", "true", "false", "nan", "inf"}  # words that Hydra's grammar doesn't read as text


class Outcome(NamedTuple):
    """Where a run came to; as text, one line that ends in commands to paste.

    Args:
        folder: The run's directory.
        step: Its last step.
        scores: Validation, of the best checkpoint.
        best: The step of that.
        board: Whether TensorBoard has something to show.
    """

    folder: Path
    step: int
    scores: dict[str, float]
    best: int
    board: bool = True

    def __str__(self) -> str:
        run = _near(self.folder)
        scores = "  ".join(f"{name} {score:.4f}" for name, score in self.scores.items())
        if scores and 0 < self.best < self.step:
            scores += f"  best at step {self.best} of {self.step}"
        parts = [
            scores or f"{self.step} steps",
            f"run {shlex.quote(run)}",
            shlex.join([_program("python"), _near(_EVALUATE), override("run", run)]),
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


def override(key: str, value: str) -> str:
    """An override that gives this text, whatever is in it: one argument, before a shell's own quoting.

    >>> print(override("run", "outputs/a"), override("run", "b,1"), override("run", "10"))
    run=outputs/a run="b,1" run="10"
    >>> print(override("run", "first"), override("run", "null"))
    run=first run="null"
    """
    path = re.fullmatch(r"[\w./+@%-]*/[\w./+@%-]*", value, re.ASCII)
    word = re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII)
    if path or (word and value.lower() not in _VALUES):
        return f"{key}={value}"
    # the grammar reads a backslash as one that escapes only where it leads to a quote
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + (found[2] and '\\"'), value)
    return f'{key}="{escaped}"'
