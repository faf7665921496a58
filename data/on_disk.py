"""Examples that stay where they are until they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from data.cases import Cases
from data.moving import move
from data.shuffle import shuffled
from flows.core import Batch

CHUNK, KEPT = 2**24, 2**27  # bytes read at once, and bytes kept


@final
class OnDisk:
    """A Source that reads runs of neighbouring steps, and keeps the last of them.

    An epoch shuffles the cases of as many runs as can be kept together, so that each run is read once.

    Args:
        cases: Where they are read.
        places: Those that belong to this source, in order (N,).
        chunk: Bytes read at once, but for a step, which is read whole.
        kept: Bytes of runs that are kept.
    """

    def __init__(self, cases: Cases, places: Tensor, chunk: int = CHUNK, kept: int = KEPT) -> None:
        self.cases, self.places = cases, places
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.chunk, self.kept = chunk, kept
        step = cases.bytes * cases.per_step
        self.steps = max(1, chunk // step)  # of a run
        self.together = max(1, kept // 2 // (self.steps * step))  # runs
        of = places // (cases.per_step * self.steps)
        self.sizes = of.unique_consecutive(return_counts=True)[1]  # cases of each run
        self.starts = self.sizes.cumsum(0) - self.sizes  # where each run's cases begin among all
        self._read: OrderedDict[int, Batch] = OrderedDict()

    def __len__(self) -> int:
        return len(self.places)

    def to(self, device: torch.device, dtype: torch.dtype) -> OnDisk:
        """The same examples, given on another device, or in another precision; what is kept is shared."""
        other = OnDisk(self.cases, self.places, self.chunk, self.kept)
        other.device, other.dtype = device, dtype
        other._read = self._read
        return other

    def order(self, batch_size: int, generator: torch.Generator, taken: int = 0) -> Iterator[Tensor]:
        """Index blocks of one epoch, shuffled by `data.shuffle`; the remainder waits for another."""
        return shuffled(self.sizes, self.together, batch_size, generator, taken)

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at these places."""
        index = torch.arange(len(self))[index if isinstance(index, slice) else index.cpu()]
        targets, given = self.cases.channels
        # made before anything is read: what is kept between large pieces that are freed would scatter memory
        x = torch.empty(len(index), targets, *self.cases.side, dtype=self.dtype)
        context = torch.empty(len(index), given, *self.cases.side, dtype=self.dtype)
        runs = torch.bucketize(index, self.starts, right=True) - 1
        for run in runs.unique().tolist():
            inside = runs == run
            found = self._run(run)
            wanted = index[inside] - self.starts[run]
            x[inside] = found.x[wanted].to(self.dtype)
            if found.context is not None:
                context[inside] = found.context[wanted].to(self.dtype)
        return Batch(move(x, self.device), move(context, self.device) if given else None)

    def _run(self, run: int) -> Batch:
        """All examples of one run."""
        if run not in self._read:
            start, size = int(self.starts[run]), int(self.sizes[run])
            places = self.places[start : start + size]
            step, last = int(places[0]) // self.cases.per_step, int(places[-1]) // self.cases.per_step
            x, context = self.cases.read(step, last + 1)
            places = places - step * self.cases.per_step
            self._read[run] = Batch(x[places], None if context is None else context[places])
            while len(self._read) > 1 and sum(len(each.x) for each in self._read.values()) > self._most:
                self._read.popitem(last=False)
        self._read.move_to_end(run)
        return self._read[run]

    @property
    def _most(self) -> int:
        """Cases that are kept."""
        return self.kept // self.cases.bytes
