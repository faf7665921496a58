"""Take features apart by a mask, and put them together again."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


def alternating(features: int, start: bool = True) -> Tensor:
    """Every other feature, bool (features,); `start` is whether the first is among them.

    >>> alternating(5)
    tensor([ True, False,  True, False,  True])
    """
    return (torch.arange(features) % 2 == 0) == start


@final
class Partition(nn.Module):
    """Two sides of a mask. Evenly spaced sides are views: alternating and half masks copy nothing to split.

    Args:
        mask: True for the first side, bool (D,).

    Raises: ValueError if a side is empty.

    >>> part = Partition(alternating(5))
    >>> first, second = part.split(torch.zeros(7, 5))
    >>> first.shape, second.shape, part.merge(first, second).shape
    (torch.Size([7, 3]), torch.Size([7, 2]), torch.Size([7, 5]))
    """

    first: Tensor
    second: Tensor
    restore: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        first, second = mask.nonzero().flatten(), (~mask).nonzero().flatten()
        if not len(first) or not len(second):
            raise ValueError(f"a mask needs features on both sides, got {mask.tolist()}")
        self.slices = _slice(first), _slice(second)
        self.starts = bool(
            mask[0]
        )  # the side that holds feature 0 goes in front, so that halves need no gather
        restore = torch.cat([first, second] if self.starts else [second, first]).argsort()
        self.gathers = bool((restore != torch.arange(len(mask))).any())
        for name, index in (("first", first), ("second", second), ("restore", restore)):
            self.register_buffer(name, index, persistent=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides of x: (..., D) to (..., K) and (..., D - K)."""
        first, second = self.slices
        return (
            x.index_select(-1, self.first) if first is None else x[..., first],
            x.index_select(-1, self.second) if second is None else x[..., second],
        )

    def merge(self, first: Tensor, second: Tensor) -> Tensor:
        """What `split` took apart."""
        x = torch.cat((first, second) if self.starts else (second, first), dim=-1)
        return x.index_select(-1, self.restore) if self.gathers else x


def _slice(index: Tensor) -> slice | None:
    """The slice that takes these places, or None where they aren't evenly spaced."""
    places = index.tolist()
    step = places[1] - places[0] if len(places) > 1 else 1
    even = range(places[0], places[-1] + 1, step)
    return slice(even.start, even.stop, even.step) if places == [*even] else None
