"""Where a task's output may go, and what the file's ending makes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from flows.errors import UserError
from flows.files import write_whole


def ending(path: Path, allowed: Sequence[str]) -> str:
    """The ending of an output file.

    Raises: UserError if it isn't one of these, or a folder stands there.
    """
    if path.suffix.lower() not in allowed:
        raise UserError(f"output={path}: give a name that ends in {' or '.join(allowed)}")
    if os.path.isdir(path):  # noqa: PTH112  (Path's own raises where a name is too long)
        raise UserError(f"output={path}: is a folder; give a file's name")
    return path.suffix.lower()


def alike(path: Path, allowed: Sequence[str]) -> tuple[str, ...]:
    """The only ending that an output may have which is the input with columns or cells added: the input's.

    Raises: UserError if the input's isn't one of these.
    """
    if path.suffix.lower() not in allowed:
        raise UserError(f"input={path}: give a file that ends in {' or '.join(allowed)}")
    return (path.suffix.lower(),)


def ready(folder: Path) -> Path:
    """Make the folder of an output and see that files can be written there: called before the work.

    Raises: UserError if they can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise _unwritable(folder, error) from error


def write(path: Path, content: str | bytes) -> None:
    """Write the whole file or nothing.

    Raises: UserError if it can't be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: can't be written ({error.strerror}); give another output=PATH")


def warn(lines: Iterable[str]) -> None:
    """Say what is amiss, beside the output."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def tell(line: str) -> None:
    """Say at once what is being done, for what takes a while, beside the output."""
    print(line, file=sys.stderr, flush=True)
