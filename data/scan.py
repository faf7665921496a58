"""One look at every row of a file, before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.column import Extent
from data.npy import Npy
from flows.errors import UserError
from flows.signals import stop_if_asked

BLOCK = 2**20  # bytes of the file looked at together, but for a row


def scan(file: Npy, columns: Sequence[int]) -> tuple[dict[str, Extent], list[list[str]]]:
    """How far each column reaches, and which columns are equal in all rows: groups of two names or more.

    The file is read once, from its first row to its last, a block at a time; that takes about a second for a
    gigabyte, or as long as the disk needs.

    Raises: UserError that names the first row with a missing or infinite number.
    """
    step = max(1, BLOCK // file.row_bytes)
    found: list[Extent] = []
    alike: list[list[int]] = [[*range(len(columns))]]  # until a row tells them apart
    for start in range(0, len(file), step):
        stop_if_asked()
        block = np.ascontiguousarray(file.read(start, min(start + step, len(file)), columns).T)
        _check_finite(block, file, columns, start)
        here = [Extent.of(values, start) for values in block]
        found = [a | b for a, b in zip(found, here, strict=True)] if found else here
        alike = [part for group in alike for part in _split(block, group)]
    names = [file.names[column] for column in columns]
    return dict(zip(names, found, strict=True)), [[names[k] for k in group] for group in alike]


def _check_finite(block: np.ndarray, file: Npy, columns: Sequence[int], start: int) -> None:
    if np.isfinite(block.sum()):  # most blocks, and cheaper; large numbers may add up to infinity
        return
    bad = ~np.isfinite(block)
    if bad.any():
        row = int(bad.any(0).argmax())
        column = int(bad[:, row].argmax())
        what = "missing" if np.isnan(block[column, row]) else "infinite"
        raise UserError(
            f"{file.path}: column {file.names[columns[column]]}, row {start + row + 1}: {what}; leave such "
            "rows out of the file, or read it whole by dataset.mapped=false dataset.missing=drop"
        )


def _split(block: np.ndarray, group: list[int]) -> list[list[int]]:
    """A group of columns by those that are equal here too, single ones left out."""
    if len(group) < 2:
        return []
    alike: dict[bytes, list[int]] = {}
    for column in group:
        alike.setdefault((block[column] + 0.0).tobytes(), []).append(column)  # -0.0 equals 0.0
    return [part for part in alike.values() if len(part) > 1]
