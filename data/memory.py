"""Examples that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from data.moving import move
from flows.core import Batch

Place = tuple[torch.device, torch.dtype]


@final
class InMemory:
    """A Source over tensors: a batch is one indexing, wherever the tensors lie.

    Args:
        x: Examples (N, *shape), at least one.
        context: What each is given (N, *context_shape), or None.

    Raises: ValueError if there are no examples, or x and context differ in length.

    >>> source = InMemory(torch.zeros(10, 2))
    >>> [len(index) for index in source.order(4, torch.Generator())]
    [4, 4]
    >>> source.take(slice(0, 3)).x.shape
    torch.Size([3, 2])
    """

    def __init__(self, x: Tensor, context: Tensor | None = None) -> None:
        if len(x) == 0:
            raise ValueError("InMemory needs at least one example")
        if context is not None and len(context) != len(x):
            raise ValueError(f"x has {len(x)} examples, but context has {len(context)}")
        self.x = x
        self.context = context
        self._elsewhere: WeakValueDictionary[Place, InMemory] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device, dtype: torch.dtype) -> InMemory:
        """The same examples on another device, or in another precision; the runs of a batch share them."""
        moved = self._elsewhere.get((device, dtype))
        if moved is None:
            context = None if self.context is None else self.context.to(device, dtype)
            moved = self._elsewhere[device, dtype] = InMemory(self.x.to(device, dtype), context)
        return moved

    def order(self, batch_size: int, generator: torch.Generator, taken: int = 0) -> Iterator[Tensor]:
        """Index blocks of one shuffled epoch; the remainder waits for another epoch.

        The permutation is drawn at the call, so the generator's state there fixes the epoch.

        Args:
            batch_size: Length of each block; more than there is gives one block of everything.
            generator: Where the permutation is drawn; it may lie on another device than the examples.
            taken: Blocks to leave out at the start.
        """
        size = min(batch_size, len(self))
        permutation = torch.randperm(len(self), generator=generator, device=generator.device)
        permutation = move(permutation[taken * size : len(self) // size * size], self.x.device)
        return iter(permutation.split(size) if len(permutation) else ())

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at these places."""
        return Batch(_rows(self.x, index), None if self.context is None else _rows(self.context, index))


def _rows(tensor: Tensor, index: Tensor | slice) -> Tensor:
    return tensor[index] if isinstance(index, slice) else tensor.index_select(0, index)  # three times as fast
