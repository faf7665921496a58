"""A checkpoint is one directory: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load, save
from torch import Tensor

from flows.errors import UserError
from flows.files import sync_folder, write_through

Tensors = dict[str, Tensor]


class Checkpoint(NamedTuple):
    """What a checkpoint holds: a file of tensors a player (and one for the run), and plain facts."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]


def write(folder: Path, step: int, content: Checkpoint, keep: int = 1) -> Path:
    """Write `folder`/{step}, then drop all but the newest `keep` there.

    Files are written beside, flushed, and renamed as one directory, so a crash leaves the old
    checkpoints or the new one too, and never a part.
    """
    path = folder / f"{step:08d}"
    beside = folder / f".{path.name}.{os.getpid()}.tmp"
    files = {f"{name}.safetensors": save(_contiguous(t)) for name, t in content.tensors.items()}
    files["state.json"] = json.dumps(content.state, indent=1).encode()
    manifest = {"step": step, "sha256": {name: _digest(data) for name, data in files.items()}}
    files["manifest.json"] = json.dumps(manifest, indent=1).encode()
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        for name, data in files.items():
            write_through(beside / name, data)
        sync_folder(beside)
        shutil.rmtree(path, ignore_errors=True)
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    sync_folder(folder)
    for old in [*steps(folder)][keep:]:
        shutil.rmtree(old)
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, every file checked against its SHA-256.

    Raises: UserError if a file is missing or differs from what was written.
    """
    try:
        digests: Mapping[str, str] = json.loads((path / "manifest.json").read_bytes())["sha256"]
        files = {name: (path / Path(name).name).read_bytes() for name in digests}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a whole checkpoint ({error})") from error
    for name, data in files.items():
        if _digest(data) != digests[name]:
            raise UserError(f"{path / name}: damaged, its SHA-256 isn't the one that was written")
    state = json.loads(files.pop("state.json"))
    return Checkpoint({Path(name).stem: load(data) for name, data in files.items()}, state)


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder that is whole, or None."""
    for path in steps(folder):
        try:
            read(path)
        except UserError:
            continue
        return path
    return None


def steps(folder: Path) -> Iterator[Path]:
    """Checkpoints of a folder, newest first."""
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return (folder / name for name in sorted((n for n in names if n.isdigit()), key=int, reverse=True))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
