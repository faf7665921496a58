"""Examples drawn when they are asked for: as many as one wants, none of them kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

import torch
from torch import Tensor

from data.moving import move
from flows.core import Batch

MANY = 2**32  # numbers that a fresh example is one of: more seeds the CPU's generator doesn't tell apart


@final
class Drawn:
    """A Source without end: each example is a number, which fixes it.

    Numbers 0 to n - 1 are those that units are fitted to and that are shown; training draws its numbers
    from all of them, so hardly ever meets one twice: once among 100,000 examples. An epoch, which sets when
    to validate and to save, is n examples long.

    Args:
        draw: Examples of generators, one for each.
        n: Length of an epoch.
        seed: Of the dataset.

    >>> def draw(generators):
    ...     return Batch(torch.stack([torch.rand(2, generator=each) for each in generators]))
    >>> source = Drawn(draw, 10)
    >>> source.take(slice(0, 3)).x.shape, [len(index) for index in source.order(4, torch.Generator())]
    (torch.Size([3, 2]), [4, 4])
    """

    def __init__(self, draw: Callable[[list[torch.Generator]], Batch], n: int, seed: int = 0) -> None:
        self.draw = draw
        self.n = n
        self.seed = seed
        self.device, self.dtype = torch.device("cpu"), torch.float64

    def __len__(self) -> int:
        return self.n

    def to(self, device: torch.device, dtype: torch.dtype) -> Drawn:
        """The same examples on another device, or in another precision; they are drawn as ever."""
        other = Drawn(self.draw, self.n, self.seed)
        other.device, other.dtype = device, dtype
        return other

    def order(self, batch_size: int, generator: torch.Generator, taken: int = 0) -> Iterator[Tensor]:
        """Numbers of one epoch's batches, drawn at the call, less the first `taken`."""
        size = min(batch_size, self.n)
        numbers = torch.randint(
            MANY, (self.n // size * size,), generator=generator, device=generator.device
        ).cpu()
        return iter(numbers[taken * size :].split(size) if taken * size < len(numbers) else ())

    def take(self, index: Tensor | slice) -> Batch:
        """The examples of these numbers."""
        numbers = range(self.n)[index] if isinstance(index, slice) else index.tolist()
        batch = self.draw([self._generator(number) for number in numbers])
        context = None if batch.context is None else move(batch.context, self.device, self.dtype)
        return Batch(move(batch.x, self.device, self.dtype), context)

    def _generator(self, number: int) -> torch.Generator:
        # a multiple that is odd, so that neighbouring seeds share no example
        return torch.Generator().manual_seed((self.seed * 0x9E3779B97F4A7C15 + number) % 2**63)
