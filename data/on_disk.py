"""Examples that stay where they are until they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from data.cases import Cases
from flows.core import Batch

CHUNK, KEPT = 2**24, 2**28  # bytes read at once, and bytes kept


@final
class OnDisk:
    """A Source that reads runs of neighbouring cases, and keeps the last of them.

    An epoch shuffles runs, and then the cases of as many as can be kept together: each is read once.

    Args:
        cases: Where they are read.
        places: Those that belong to this source, in order (N,).
        chunk: Bytes read at once.
        kept: Bytes of runs that are kept.
    """

    def __init__(self, cases: Cases, places: Tensor, chunk: int = CHUNK, kept: int = KEPT) -> None:
        self.cases, self.places = cases, places
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.chunk, self.kept = chunk, kept
        self.run = max(1, chunk // cases.bytes)
        self.together = max(1, kept // 2 // (self.run * cases.bytes))
        self._read: OrderedDict[int, Batch] = OrderedDict()

    def __len__(self) -> int:
        return len(self.places)

    def to(self, device: torch.device, dtype: torch.dtype) -> OnDisk:
        """The same examples, given on another device, or in another precision."""
        other = OnDisk(self.cases, self.places, self.chunk, self.kept)
        other.device, other.dtype = device, dtype
        return other

    def order(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Index blocks of one shuffled epoch; the remainder waits for another."""
        size = min(batch_size, len(self))
        runs = torch.randperm(-(-len(self) // self.run), generator=generator, device=generator.device).cpu()
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        inner = torch.Generator().manual_seed(int(seed))
        epoch = []
        for together in runs.split(self.together):
            members = (together.unsqueeze(1) * self.run + torch.arange(self.run)).flatten()
            members = members[members < len(self)]
            epoch.append(members[torch.randperm(len(members), generator=inner)])
        index = torch.cat(epoch)
        return iter(index[: len(index) // size * size].split(size))

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at these places."""
        index = torch.arange(len(self))[index if isinstance(index, slice) else index.cpu()]
        of = index // self.run
        found = [some(self._run(number), index[of == number] % self.run) for number in of.unique().tolist()]
        back = of.argsort(stable=True).argsort()
        x = torch.cat([batch.x for batch in found])[back]
        contexts = [batch.context for batch in found if batch.context is not None]
        context = torch.cat(contexts)[back].to(self.device, self.dtype) if contexts else None
        return Batch(x.to(self.device, self.dtype), context)

    def _run(self, number: int) -> Batch:
        """All examples of one run."""
        if number not in self._read:
            places = self.places[number * self.run : (number + 1) * self.run]
            step, last = int(places[0]) // self.cases.per_step, int(places[-1]) // self.cases.per_step
            batch = self.cases.read(step, last + 1)
            self._read[number] = some(batch, places - step * self.cases.per_step)
            while len(self._read) > 1 and len(self._read) * self.run * self.cases.bytes > self.kept:
                self._read.popitem(last=False)
        self._read.move_to_end(number)
        return self._read[number]


def some(batch: Batch, places: Tensor) -> Batch:
    """Those at these places."""
    return Batch(batch.x[places], None if batch.context is None else batch.context[places])
