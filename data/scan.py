"""One look at every row of a file, before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.column import Extent
from data.holed import leave_out, refuse
from data.npy import Npy
from flows.signals import stop_if_asked

BLOCK = 2**20  # bytes of the file looked at together, but for a row


class Seen(NamedTuple):
    """What a look at a file finds, of the rows that are whole.

    Args:
        extents: How far each column reaches, by its name.
        alike: Which columns are equal in all rows: groups of two names or more.
        lost: The rows with a missing or infinite number, rising, counted from 0 (L,).
    """

    extents: dict[str, Extent]
    alike: list[list[str]]
    lost: np.ndarray


def scan(file: Npy, columns: Sequence[int], drop: bool = False) -> Seen:
    """Read a file once, from its first row to its last, a block at a time.

    That takes about a second for a gigabyte, or as long as the disk needs.

    Args:
        file: The file.
        columns: Those in use.
        drop: Whether rows with a missing or infinite number are left out, which is told on stderr.

    Raises: UserError if there are such rows, with the first and their number, or too few are left.
    """
    step = max(1, BLOCK // file.row_bytes)
    found: list[Extent] = []
    alike: list[list[int]] = [[*range(len(columns))]]  # until a row tells them apart
    holes = _Holes(len(columns))
    for start in range(0, len(file), step):
        stop_if_asked()
        block = np.ascontiguousarray(file.read(start, min(start + step, len(file)), columns).T)
        whole = holes.note(block, start)
        if whole is not None:
            block = np.ascontiguousarray(block[:, whole])
        if block.shape[1]:
            here = [Extent.of(values, start) for values in block]
            if whole is not None:  # rows as the file counts them
                here = [each._replace(row=start + int(whole[each.row - start - 1]) + 1) for each in here]
            found = [a | b for a, b in zip(found, here, strict=True)] if found else here
            alike = [part for group in alike for part in _split(block, group)]
    names = [file.names[column] for column in columns]
    lost = holes.rows()
    if holes.first is not None:
        column, what = holes.first
        if not drop:
            raise refuse(file.path, names[column], int(lost[0]), what, int(holes.counts[column]), len(file))
        leave_out(file.path, len(lost), len(file), [names[k] for k in np.flatnonzero(holes.counts)])
    return Seen(dict(zip(names, found, strict=True)), [[names[k] for k in group] for group in alike], lost)


class _Holes:
    """The missing and infinite numbers of a file, block after block; counts are by column."""

    def __init__(self, columns: int) -> None:
        self.counts = np.zeros(columns, dtype=np.int64)
        self.first: tuple[int, str] | None = None  # in which column, and what it is
        self._lost: list[np.ndarray] = []

    def note(self, block: np.ndarray, start: int) -> np.ndarray | None:
        """The places in a block (columns, rows) of the rows that are whole; None if all are."""
        with np.errstate(over="ignore", invalid="ignore"):  # large numbers may add up to infinity, or cancel
            if np.isfinite(block.sum()):  # most blocks, and cheaper
                return None
        holes = ~np.isfinite(block)
        bad = holes.any(0)
        if not bad.any():
            return None
        if self.first is None:
            row = int(bad.argmax())
            column = int(holes[:, row].argmax())
            self.first = column, "missing" if np.isnan(block[column, row]) else "infinite"
        self.counts += holes.sum(1)
        self._lost.append(start + np.flatnonzero(bad))
        return np.flatnonzero(~bad)

    def rows(self) -> np.ndarray:
        """All rows that have one, rising (L,)."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *self._lost])


def _split(block: np.ndarray, group: list[int]) -> list[list[int]]:
    """A group of columns by those that are equal here too, single ones left out."""
    if len(group) < 2:
        return []
    alike: dict[bytes, list[int]] = {}
    for column in group:
        alike.setdefault((block[column] + 0.0).tobytes(), []).append(column)  # -0.0 equals 0.0
    return [part for part in alike.values() if len(part) > 1]
