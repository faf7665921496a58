"""A checkpoint is one directory: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from flows.errors import UserError
from flows.files import sync_folder, write_through, writing

Tensors = dict[str, Tensor]
_ASIDE = ".old.tmp"


class Checkpoint(NamedTuple):
    """What a checkpoint holds: a file of tensors a player (and one for the run), and plain facts."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]


@writing()
def write(folder: Path, step: int, content: Checkpoint, keep: int = 1) -> Path:
    """Write `folder`/{step}, then drop all but the newest `keep` there.

    Files are written beside, flushed, and renamed as one directory, so a crash leaves the old
    checkpoints or the new one too, and never a part. One process at a time may write to a folder.

    Raises: Unwritable, the old checkpoints being as they were; also if the
        folder that holds those of a run is gone.
    """
    path = at(folder, step)
    beside, aside = folder / f".{path.name}.tmp", _aside(path)
    files = {f"{name}.safetensors": save(_contiguous(t)) for name, t in content.tensors.items()}
    files["state.json"] = json.dumps(content.state, indent=1).encode()
    manifest = {"step": step, "sha256": {name: _digest(data) for name, data in files.items()}}
    files["manifest.json"] = json.dumps(manifest, indent=1).encode()
    for made in (folder.parent, folder):  # not the run's own, which somebody may have removed
        made.mkdir(exist_ok=True)
    shutil.rmtree(beside, ignore_errors=True)  # of a process that died
    beside.mkdir()
    try:
        for name, data in files.items():
            write_through(beside / name, data)
        sync_folder(beside)
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)  # where `newest` looks too, for a crash may come now
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    sync_folder(folder)
    for stale in folder.glob(".*.tmp"):  # only now, when what replaces them is there
        shutil.rmtree(stale)
    for old in [other for other in steps(folder) if other != path][max(0, keep - 1) :]:
        shutil.rmtree(old)
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, every file checked against its SHA-256.

    Raises: UserError if a file is missing, differs from what was written, or can't be understood.
    """
    try:
        digests = dict(json.loads((path / "manifest.json").read_bytes())["sha256"])
        files = {name: (path / Path(name).name).read_bytes() for name in digests}
        for name, data in files.items():
            if _digest(data) != digests[name]:
                raise UserError(f"{path / name}: damaged, its SHA-256 isn't the one that was written")
        state = json.loads(files.pop("state.json"))
        return Checkpoint({Path(name).stem: load(data) for name, data in files.items()}, state)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"{path}: not a whole checkpoint ({error})") from error


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder that is whole, or None."""
    aside = [path.name[1:].partition(".")[0] for path in folder.glob(f".*{_ASIDE}")]
    places = {*steps(folder), *(folder / name for name in aside)}
    for path in (each for place in _newest_first(places) for each in (place, _aside(place))):
        try:
            read(path)
        except UserError:
            continue
        return path
    return None


def drop_beyond(folder: Path, step: int) -> None:
    """Remove what a life that won't be continued wrote after this step."""
    for path in [*steps(folder)]:
        if int(path.name) > step:
            shutil.rmtree(path)


def steps(folder: Path) -> Iterator[Path]:
    """Checkpoints of a folder, newest first."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return iter(_newest_first(path for path in entries if path.name.isascii() and path.name.isdecimal()))


def at(folder: Path, step: int) -> Path:
    """Where a folder keeps the checkpoint of a step."""
    return folder / f"{step:08d}"


def _aside(path: Path) -> Path:
    """Where a checkpoint lies while another takes its place."""
    return path.with_name(f".{path.name}{_ASIDE}")


def _newest_first(places: Iterable[Path]) -> list[Path]:
    return sorted(places, key=lambda path: int(path.name), reverse=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
