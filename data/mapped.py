"""Rows that stay in their file until they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from data.moving import move
from data.npy import Npy
from data.shuffle import shuffled
from flows.core import Batch

RUN, FEWEST = 2**16, 1000  # bytes of neighbouring rows read at once, but no less than a thousandth of a file
WINDOW = 2**26  # most bytes of a window of an epoch, shuffled
NUMBER, INDICES = 8, 3  # bytes of a number, and how many of them a row's place in the shuffle takes


@final
class Mapped:
    """A Source over runs of neighbouring rows of a file, which holds two windows of an epoch.

    An epoch is shuffled by `data.shuffle`, so each run is read once in it. A batch is one indexing of what is
    held; its cost doesn't depend on the size of the file.

    Args:
        file: Where rows are read.
        columns: Those of x, and after them those of the context.
        features: How many of them are x.
        runs: Numbers of the runs that belong to this source, rising (R,).
        size: Rows of a run; the file's last may have less.
        lost: Rows of the file that are left out, rising (L,); None for none.
        window: Most bytes of a window of an epoch, in float64.
    """

    def __init__(
        self,
        file: Npy,
        columns: Sequence[int],
        features: int,
        runs: Tensor,
        size: int,
        lost: np.ndarray | None = None,
        window: int = WINDOW,
    ) -> None:
        self.file, self.columns, self.features = file, columns, features
        self.runs, self.size, self.window = runs, size, window
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.lost = np.zeros(0, dtype=np.int64) if lost is None else lost
        self._ends = ((runs + 1) * size).clamp(max=len(file))  # in the file
        first, last = (np.searchsorted(self.lost, row.numpy()) for row in (runs * size, self._ends))
        self.sizes = self._ends - runs * size - torch.from_numpy(last - first)
        self._starts = self.sizes.cumsum(0) - self.sizes  # where each run's rows begin among all
        self.together = max(1, window // (size * NUMBER * (len(columns) + INDICES)))
        self._slots = min(2 * self.together, len(runs))
        self._slot = torch.full_like(runs, -1)  # where a run is held
        self._held: list[int] = []  # which run each slot holds, and in which the next is put
        self._next = 0
        self._rows = torch.empty(0, len(columns))

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def to(self, device: torch.device, dtype: torch.dtype) -> Mapped:
        """The same rows, given on another device, or in another precision."""
        other = Mapped(self.file, self.columns, self.features, self.runs, self.size, self.lost, self.window)
        other.device, other.dtype = device, dtype
        return other

    def order(self, batch_size: int, generator: torch.Generator, taken: int = 0) -> Iterator[Tensor]:
        """Index blocks of one epoch, shuffled by `data.shuffle`; the remainder waits for another."""
        return shuffled(self.sizes, self.together, batch_size, generator, taken)

    def take(self, index: Tensor | slice) -> Batch:
        """The rows at these places; neighbours, given as a slice, are read past what is held."""
        if isinstance(index, slice):
            return self._batch(self._between(*index.indices(len(self))[:2]))
        index = index.cpu()
        # where rows are left out, past the runs that have none; a search takes longer in a larger file
        run = torch.bucketize(index, self._starts, right=True) - 1 if len(self.lost) else index // self.size
        place = index - self._starts[run]  # in the run
        slots = self._slot[run]
        if bool((slots >= 0).all()):
            return self._batch(self._rows[slots * self.size + place])
        rows = torch.empty(len(index), len(self.columns), dtype=self.dtype)
        for some in run.unique().split(self._slots):
            self._hold(some)
            inside = (run >= some[0]) & (run <= some[-1])
            rows[inside] = self._rows[self._slot[run[inside]] * self.size + place[inside]]
        return self._batch(rows)

    def _batch(self, rows: Tensor) -> Batch:
        rows = move(rows, self.device)
        if self.features == len(self.columns):
            return Batch(rows)
        return Batch(rows[:, : self.features].contiguous(), rows[:, self.features :].contiguous())

    def _hold(self, runs: Tensor) -> None:
        """Read those that aren't held, each in place of what was read longest ago.

        Of no more than there are slots all are held afterwards: what the first round pushes out the second
        reads again.
        """
        if not len(self._rows):
            self._rows = torch.empty(self._slots * self.size, len(self.columns), dtype=self.dtype)
            self._held = [-1] * self._slots
        while len(lacking := runs[self._slot[runs] < 0]):
            starts, ends = (self.runs[lacking] * self.size).tolist(), self._ends[lacking].tolist()
            for start, end in zip(starts, ends, strict=True):
                self.file.expect(start, end)  # far from each other, so that waiting for each would take long
            for run, start, end in zip(lacking.tolist(), starts, ends, strict=True):
                slot, self._next = self._next, (self._next + 1) % self._slots
                if self._held[slot] >= 0:
                    self._slot[self._held[slot]] = -1
                self._held[slot], self._slot[run] = run, slot
                read = self._read(start, end)
                self._rows[slot * self.size : slot * self.size + len(read)] = read

    def _between(self, start: int, stop: int) -> Tensor:
        """Rows start, …, stop - 1 of this source; runs that lie side by side are read together."""
        rows = torch.empty(max(0, stop - start), len(self.columns), dtype=self.dtype)
        done = 0
        while done < len(rows):
            run, final = (
                int(torch.searchsorted(self._starts, place, right=True)) - 1
                for place in (start + done, stop - 1)
            )
            last = min(final, run + self.together)
            side_by_side = self.runs[run : last + 1] - self.runs[run] == torch.arange(last + 1 - run)
            last = run + int(side_by_side.long().cumprod(0).sum()) - 1
            read = self._read(int(self.runs[run]) * self.size, int(self._ends[last]))
            read = read[start + done - int(self._starts[run]) :][: len(rows) - done]
            rows[done : done + len(read)] = read
            done += len(read)
        return rows

    def _read(self, start: int, stop: int) -> Tensor:
        """Rows of the file, less those that are left out (≤ stop - start, columns)."""
        rows = self.file.read(start, stop, self.columns)
        first, last = np.searchsorted(self.lost, (start, stop))
        if first < last:
            rows = np.delete(rows, self.lost[first:last] - start, axis=0)
        return torch.from_numpy(rows)


def run_size(rows: int, row_bytes: int) -> int:
    """Rows of a run: 64 KiB of them, or a thousandth of the file if that is less; one at least.

    >>> run_size(10**8, 20), run_size(10**4, 20), run_size(10, 20)
    (3276, 10, 1)
    """
    return max(1, min(RUN // row_bytes, rows // FEWEST))
