"""A checkpoint is one directory: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from flows.errors import UserError
from flows.files import read_bounded, sync_folder, write_through, writing
from flows.wording import one_line

Tensors = dict[str, Tensor]
_PREPARED, _PUT_ASIDE = re.compile(r"\.\d+\.tmp", re.ASCII), re.compile(r"\.\d+\.old\.tmp", re.ASCII)
_MARK = "mark"
_MANIFEST, _STATE, _HEADER, _BLOCK = 2**20, 2**20, 2**23, 2**20  # most bytes
_TIMES, _SPARE = 12, 2**24  # of a net: itself and its average, up to four slots, all of twice the precision
_BYTES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8},
    **{"F8_E4M3": 1, "F8_E5M2": 1, "F16": 2, "BF16": 2, "F32": 4, "F64": 8, "C64": 8},
}
_SIDES = 32  # of a tensor
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)  # any other error may be a passing one
_NEEDED = {"state.json", "model.safetensors", "run.safetensors"}  # files of every checkpoint


class Checkpoint(NamedTuple):
    """What a checkpoint holds: a file of tensors a player (and one for the run), and plain facts."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]


class Located(NamedTuple):
    """A checkpoint that was found whole: where it lies, and what it holds."""

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
    files["manifest.json"] = _manifest(step, {name: _digest(BytesIO(data)) for name, data in files.items()})
    for made in (folder.parent, folder):  # not the run's own folder, which somebody may have removed
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
            path.rename(aside)  # where `find` looks too, since a crash may come now
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


def read(path: Path, most: int | None = None, only: Collection[str] = ()) -> Checkpoint:
    """Read a checkpoint, every file checked against its SHA-256.

    Args:
        path: Where it lies.
        most: Bytes that what is read may have; None for as many as the weights say themselves.
        only: The players whose tensors are read; all of them, and the run's, if none is named.

    Raises:
        Damaged if a file is missing, differs from what was written, or can't be understood.
        UserError if it can't be read now, which says nothing of what is there, or is larger.
    """
    files = [path / name for name in _verified(path, most, only) if _wanted(name, only)]
    with _doubted(path):
        return Checkpoint({file.stem: load(file.read_bytes()) for file in files}, _state(path))


def extents(path: Path, player: str) -> dict[str, int]:
    """Bytes of each of a player's tensors, which aren't read.

    Raises: Damaged, or UserError if it can't be read now.
    """
    with _doubted(path), (path / f"{player}.safetensors").open("rb") as file:
        return _extents(file)


def most_bytes(*nets: nn.Module) -> int:
    """Bytes that a checkpoint of these nets may have, whatever their optimizers."""
    return _SPARE + _TIMES * sum(value.nbytes for net in nets for value in net.state_dict().values())


def find(folder: Path, until: int | None = None, most: int | None = None) -> Located | None:
    """The newest checkpoint in a folder that is whole, or None; if `until` is given, none after that step.

    Raises: UserError if one that may be whole can't be read, or has more bytes than `most`.
    """
    path = newest(folder, until)
    return None if path is None else Located(path, read(path, most))


def newest(folder: Path, until: int | None = None) -> Path | None:
    """Where what `find` finds lies; takes little memory, whatever lies there."""
    aside = [path for path in _entries(folder) if _PUT_ASIDE.fullmatch(path.name)]
    for path in sorted(
        [*steps(folder), *aside], key=lambda path: (-step_of(path), path.name.startswith("."))
    ):
        if until is None or step_of(path) <= until:
            try:
                _verified(path)
            except Damaged:
                continue
            return path
    return None


def prepared(folder: Path) -> Path | None:
    """The newest checkpoint that was prepared there, whole, and not committed."""
    for path in sorted(_prepared(folder), key=step_of, reverse=True):
        with suppress(Damaged):
            _verified(path)
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
    """Remove checkpoints after this step, and prepared ones: of a life of the run that won't be continued."""
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


@contextmanager
def _doubted(path: Path) -> Iterator[None]:
    """Tell what is wrong with a checkpoint from what is wrong with the disk."""
    try:
        yield
    except UserError:
        raise
    except (*_ABSENT, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise Damaged(f"{path}: not a whole checkpoint ({one_line(error)})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _verified(path: Path, most: int | None = None, only: Collection[str] = ()) -> list[str]:
    """The files of a checkpoint that is whole: each is as long as it says, and then as it was written.

    Raises: Damaged, or UserError if it can't be read now, or those to be read have more bytes than `most`.
    """
    with _doubted(path):
        written = read_bounded(path / "manifest.json", _MANIFEST)
        digests = dict(json.loads(written)["sha256"])
        if written != _manifest(step_of(path), digests):  # which no digest covers
            raise ValueError("the manifest isn't as it was written")
        if not digests.keys() >= _NEEDED:
            raise ValueError(f"the manifest lacks {', '.join(sorted(_NEEDED - digests.keys()))}")
        if any(Path(name).name != name for name in digests):
            raise ValueError("the manifest names a file of another folder")
        if any(Path(name).suffix != ".safetensors" for name in digests.keys() - {"state.json"}):
            raise ValueError("the manifest names a file that holds no weights")
        if most is not None and sum((path / n).stat().st_size for n in digests if _wanted(n, only)) > most:
            raise UserError(f"{path}: larger than a checkpoint of this model gets, so it is another's")
        for name, digest in digests.items():
            if not (path / name).is_file() and (path / name).exists():
                raise ValueError(f"{name} is no regular file")
            with (path / name).open("rb") as file:
                if name == "state.json":
                    read_bounded(path / name, _STATE)
                else:
                    _extents(file)
                file.seek(0)
                if _digest(file) != digest:
                    raise Damaged(f"{path / name}: damaged, its SHA-256 isn't the one that was written")
        _state(path)
        return [*digests]


def _extents(file: BinaryIO) -> dict[str, int]:
    """Bytes of each tensor, as the header of a file of weights has them.

    Raises: ValueError if they can't be, or the file is of another size.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(_HEADER, size - 8):
        raise ValueError("the header of weights can't be that long")
    header = dict(json.loads(file.read(length)))
    header.pop("__metadata__", None)
    end, found = 0, {}
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, last = tensor["data_offsets"]
        found[name] = _BYTES[tensor["dtype"]] * _product(tensor["shape"], size)
        if begin != end or last != end + found[name]:
            raise ValueError("weights don't lie one after the other")
        end = last
    if size != 8 + length + end:
        raise ValueError(f"{size:,} bytes, where the weights take {8 + length + end:,}")
    return found


def _product(shape: list[int], most: int) -> int:
    """Numbers of a tensor; only of what isn't long to multiply."""
    if len(shape) > _SIDES or any(type(side) is not int or not 0 <= side <= most for side in shape):
        raise ValueError("a tensor can't have that shape")
    return math.prod(shape)


def _wanted(name: str, only: Collection[str]) -> bool:
    return name != "state.json" and (not only or Path(name).stem in only)


def _state(path: Path) -> dict[str, Any]:
    state = json.loads(read_bounded(path / "state.json", _STATE))
    if not isinstance(state, dict):
        raise ValueError("state.json holds no keys")
    return state


def _manifest(step: int, digests: dict[str, str]) -> bytes:
    return json.dumps({"step": step, "sha256": digests}, indent=1).encode()


def _digest(file: BinaryIO) -> str:
    """Of what is left of a file, a block at a time."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
