"""Writing so that a reader, or a crash, never meets half a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final


@final
class Unwritable(OSError):
    """A disk that is full, read-only, gone or whatever it says: for its user, and no bug."""


@contextmanager
def writing(path: Path | None = None) -> Iterator[None]:
    """Name what can't be written.

    Args:
        path: Of whatever the system doesn't name itself, as it doesn't once a file is open.

    Raises: Unwritable instead of any other OSError.
    """
    try:
        yield
    except Unwritable:
        raise
    except OSError as error:
        name = error.filename if path is None or error.filename is not None else str(path)
        raise Unwritable(error.errno, error.strerror or str(error), name) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside `path`, flush to the disk, rename: the old file or the new one, never a part.

    Raises: Unwritable if the folder can't be written; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            write_through(beside, data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_through(path: Path, data: bytes) -> None:
    """Write and flush to the disk."""
    with writing(path), path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename survives a power cut."""
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
