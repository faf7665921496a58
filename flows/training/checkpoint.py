"""A checkpoint is one directory: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from flows.errors import UserError
from flows.files import read_bounded, sync_folder, write_through, writing

Tensors = dict[str, Tensor]
_PREPARED, _PUT_ASIDE = re.compile(r"\.\d+\.tmp", re.ASCII), re.compile(r"\.\d+\.old\.tmp", re.ASCII)
_MARK = "mark"
_MANIFEST = 2**20  # most bytes
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)  # any other error may pass
_NEEDED = {"state.json", "model.safetensors", "run.safetensors"}  # of every run


class Checkpoint(NamedTuple):
    """What a checkpoint holds: a file of tensors a player (and one for the run), and plain facts."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]


class Found(NamedTuple):
    """A whole checkpoint, where it lies and what it holds."""

    path: Path
    content: Checkpoint


@final
class Damaged(UserError):
    """A checkpoint that was read and isn't what was written."""


def write(folder: Path, step: int, content: Checkpoint, keep: int = 1) -> Path:
    """Write `folder`/{step}, then drop all but the newest `keep` there.

    Files are written beside, flushed, and renamed as one directory, so a crash leaves the old
    checkpoints or the new one too, and never a part. One process at a time may write to a folder.

    Raises: Unwritable, the old checkpoints being as they were; also if the
        folder that holds those of a run is gone.
    """
    prepare(folder, step, content)
    return commit(folder, step, keep)


@writing()
def prepare(folder: Path, step: int, content: Checkpoint, mark: str = "") -> None:
    """Write a checkpoint beside its place, where nobody looks for it until `commit` puts it there.

    Args:
        folder: As of `write`.
        step: As of `write`.
        content: As of `write`.
        mark: Kept with it, for who finds it after a crash; it then outlives a power cut too.

    Raises: As `write`.
    """
    beside = _beside(at(folder, step))
    files = {f"{name}.safetensors": save(_contiguous(t)) for name, t in content.tensors.items()}
    files["state.json"] = json.dumps(content.state, indent=1).encode()
    files["manifest.json"] = _manifest(step, {name: _digest(data) for name, data in files.items()})
    for made in (folder.parent, folder):  # not the run's own, which somebody may have removed
        made.mkdir(exist_ok=True)
    shutil.rmtree(beside, ignore_errors=True)  # of a process that died
    beside.mkdir()
    try:
        if mark:
            write_through(beside / _MARK, mark.encode())
        for name, data in files.items():
            write_through(beside / name, data)
        sync_folder(beside)
        if mark:
            sync_folder(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@writing()
def commit(folder: Path, step: int, keep: int = 1) -> Path:
    """Put in its place what was prepared, then drop all but the newest `keep` there.

    Raises: As `write`.
    """
    path = at(folder, step)
    beside, aside = _beside(path), _aside(path)
    try:
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)  # where `newest` looks too, for a crash may come now
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(folder)
    for stale in folder.glob(".*.tmp"):  # only now, when what replaces them is there
        shutil.rmtree(stale)
    for old in [other for other in steps(folder) if other != path][max(0, keep - 1) :]:
        shutil.rmtree(old)
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, every file checked against its SHA-256.

    Raises:
        Damaged if a file is missing, differs from what was written, or can't be understood.
        UserError if it can't be read now, which says nothing of what is there.
    """
    try:
        written = read_bounded(path / "manifest.json", _MANIFEST)
        digests = dict(json.loads(written)["sha256"])
        if written != _manifest(step_of(path), digests):  # which no digest covers
            raise ValueError("the manifest isn't as it was written")
        if not digests.keys() >= _NEEDED:
            raise ValueError(f"the manifest lacks {', '.join(sorted(_NEEDED - digests.keys()))}")
        if any(Path(name).name != name for name in digests):
            raise ValueError("the manifest names a file of another folder")
        files = {name: (path / name).read_bytes() for name in digests}
        for name, data in files.items():
            if _digest(data) != digests[name]:
                raise Damaged(f"{path / name}: damaged, its SHA-256 isn't the one that was written")
        state = json.loads(files.pop("state.json"))
        if not isinstance(state, dict):
            raise ValueError("state.json holds no keys")
        return Checkpoint({Path(name).stem: load(data) for name, data in files.items()}, state)
    except Damaged:
        raise
    except (*_ABSENT, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise Damaged(f"{path}: not a whole checkpoint ({' '.join(str(error).split())})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def find(folder: Path, until: int | None = None) -> Found | None:
    """The newest checkpoint in a folder that is whole, or None; if `until` is given, none after that step.

    Raises: UserError if one that may be whole can't be read.
    """
    aside = [path for path in _entries(folder) if _PUT_ASIDE.fullmatch(path.name)]
    for path in sorted(
        [*steps(folder), *aside], key=lambda path: (-step_of(path), path.name.startswith("."))
    ):
        if until is None or step_of(path) <= until:
            try:
                return Found(path, read(path))
            except Damaged:
                continue
    return None


def newest(folder: Path, until: int | None = None) -> Path | None:
    """Where what `find` finds lies."""
    found = find(folder, until)
    return None if found is None else found.path


def prepared(folder: Path) -> Path | None:
    """The newest checkpoint that was prepared there, whole, and not committed."""
    for path in sorted(_prepared(folder), key=step_of, reverse=True):
        with suppress(Damaged):
            read(path)
            return path
    return None


def mark(path: Path) -> str:
    """What a checkpoint was marked with when it was prepared; nothing, if it wasn't or that can't be read."""
    try:
        return read_bounded(path / _MARK, _MANIFEST).decode()
    except (OSError, ValueError):
        return ""


def damaged(folder: Path, step: int) -> Path | None:
    """The newest checkpoint after the step of the newest whole one, if there is any."""
    path = next(steps(folder), None)
    return path if path is not None and step_of(path) > step else None


def drop_beyond(folder: Path, step: int) -> None:
    """Remove what a life that won't be continued wrote after this step, or prepared."""
    for path in [*steps(folder)]:
        if step_of(path) > step:
            shutil.rmtree(path)
    for path in _prepared(folder):
        shutil.rmtree(path)


def steps(folder: Path) -> Iterator[Path]:
    """Checkpoints of a folder, newest first."""
    found = [path for path in _entries(folder) if path.name.isascii() and path.name.isdecimal()]
    return iter(sorted(found, key=step_of, reverse=True))


def at(folder: Path, step: int) -> Path:
    """Where a folder keeps the checkpoint of a step."""
    return folder / f"{step:08d}"


def step_of(path: Path) -> int:
    """The step of a checkpoint, wherever it lies."""
    return int(path.name.strip(".").partition(".")[0])


def _entries(folder: Path) -> list[Path]:
    """What a folder holds: nothing, if it isn't there."""
    try:
        return [*folder.iterdir()]
    except _ABSENT:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{error.filename or path}: can't be read ({error.strerror}); nothing was changed")


def _prepared(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if _PREPARED.fullmatch(path.name)]


def _beside(path: Path) -> Path:
    """Where a checkpoint lies until it is put in its place."""
    return path.with_name(f".{path.name}.tmp")


def _aside(path: Path) -> Path:
    """Where a checkpoint lies while another takes its place."""
    return path.with_name(f".{path.name}.old.tmp")


def _manifest(step: int, digests: dict[str, str]) -> bytes:
    return json.dumps({"step": step, "sha256": digests}, indent=1).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
