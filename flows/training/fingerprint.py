"""A name for what a run was trained on."""

from __future__ import annotations

import hashlib

from flows.core import Source
from flows.errors import UserError
from flows.signals import stop_if_asked

ROWS, NUMBERS = 65_536, 2**20  # most in a block


def fingerprint(source: Source | None) -> str:
    """SHA-256 (hex) of every example, read in blocks: equal data, order and precision give equal hashes.

    Args:
        source: Usually a dataset's train part, on any device.

    Raises: UserError if there is none.

    >>> import torch
    >>> from data.memory import InMemory
    >>> len(fingerprint(InMemory(torch.zeros(10, 2))))
    64
    """
    if source is None:
        raise UserError("this dataset has no training part, only a truth to compare with")
    digest = hashlib.sha256()
    rows = max(1, min(ROWS, NUMBERS // max(1, source.take(slice(0, 1)).x.numel())))
    for start in range(0, len(source), rows):
        stop_if_asked()
        for tensor in source.take(slice(start, start + rows)):
            if tensor is None:
                continue
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
