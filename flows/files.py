"""Writing so that a reader, or a crash, never meets half a file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from flows.errors import UserError

_BESIDE = re.compile(r"\.(.+)\.\d+\.tmp", re.ASCII)


@final
class Unwritable(OSError):
    """A disk that is full, read-only or gone: for its user, and no bug."""


@contextmanager
def writing(path: Path | None = None) -> Iterator[None]:
    """While the context is open, turn an OSError into one that names the file.

    Args:
        path: Named where the error names none, as errors of an open file don't.

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
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # a name that `unfinished` looks for
        try:
            write_through(beside, data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)


def unfinished(folder: Path, names: Collection[str]) -> list[Path]:
    """What `write_whole` left of files of these names, in processes that were killed meanwhile."""
    paths = folder.iterdir() if folder.is_dir() else ()
    found = ((path, _BESIDE.fullmatch(path.name)) for path in paths)
    return [path for path, beside in found if beside and beside[1] in names]


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


def read_bounded(path: Path, most: int) -> bytes:
    """A file's bytes, no more than `most`.

    Raises: OSError if it can't be read, ValueError if it is larger, or no regular file (it may have no end).
    """
    if path.exists() and not path.is_file():
        raise ValueError("no regular file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"larger than {most:,} bytes")
    return data


def check_inside(folder: Path) -> None:
    """See that a folder holds nothing but files and folders, and no link that leads out of it.

    Raises: UserError that names the first that is something else: to open it might wait for ever, and what
        is written or deleted there might be anyone's.
    """
    home = folder.resolve()
    for root, folders, files in os.walk(folder):
        for path in (Path(root, name) for name in (*folders, *files)):
            if path.is_symlink():
                if not _leads_into(path, home):
                    raise UserError(f"{path}: a link that leads out of {folder}; put there what it leads to")
            elif path.exists() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path}: neither a file nor a folder; remove it")


def _leads_into(link: Path, home: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(home)
    except (OSError, RuntimeError):  # a link to nowhere, or a ring of links
        return False
