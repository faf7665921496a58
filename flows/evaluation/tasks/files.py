"""Where a task's output may go, and what the file's ending makes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from flows.errors import UserError


def ending(path: Path, allowed: Sequence[str]) -> str:
    """The ending of an output file.

    Raises: UserError if it isn't one of these, or a folder stands there.
    """
    if path.suffix.lower() not in allowed:
        raise UserError(f"output={path}: give a name that ends in {' or '.join(allowed)}")
    if path.is_dir():
        raise UserError(f"output={path}: is a folder; give a file's name")
    return path.suffix.lower()


def warn(lines: Iterable[str]) -> None:
    """Say what is amiss, beside the output."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
