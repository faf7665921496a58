"""Which cells of a field are there, as text that a run's JSON holds."""

from __future__ import annotations

import base64
import zlib

import torch
from torch import Tensor

from flows.errors import UserError


def encode(absent: Tensor) -> str | None:
    """A mask of cells that are never there, bool, as text; None if no cell is absent.

    >>> encode(torch.zeros(1, 4, 4).bool()) is None
    True
    """
    if not bool(absent.any()):
        return None
    return base64.b64encode(zlib.compress(bytes(absent.flatten().tolist()), 9)).decode()


def present(absent: str | None, shape: tuple[int, ...]) -> Tensor | None:
    """Which cells are there, bool (*shape), of what `encode` gave; None for all.

    Raises: UserError if the text is no mask of this shape.

    >>> mask = torch.eye(4).bool().unsqueeze(0)
    >>> torch.equal(present(encode(mask), (1, 4, 4)), ~mask)
    True
    """
    if absent is None:
        return None
    size = torch.Size(shape).numel()
    try:
        found = zlib.decompressobj().decompress(base64.b64decode(absent, validate=True), size + 1)
    except (ValueError, zlib.error):
        found = b""
    if len(found) != size:
        raise UserError(f"spec: what it says of absent cells is no mask of shape {tuple(shape)}")
    return torch.frombuffer(bytearray(found), dtype=torch.uint8).reshape(shape) == 0
