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
    """Two sides of a mask. A side of a half mask is a view: to split copies nothing, to merge is one cat.

    Args:
        mask: True for the first side, bool (D,).
        axis: Where the features lie; -3 for the channels of fields.

    Raises: ValueError if a side is empty.

    >>> part = Partition(alternating(5))
    >>> first, second = part.split(torch.zeros(7, 5))
    >>> first.shape, second.shape, part.merge(first, second).shape
    (torch.Size([7, 3]), torch.Size([7, 2]), torch.Size([7, 5]))
    """

    gather: Tensor
    restore: Tensor

    def __init__(self, mask: Tensor, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis
        first, second = mask.nonzero().flatten(), (~mask).nonzero().flatten()
        if not len(first) or not len(second):
            raise ValueError(f"a mask needs features on both sides, got {mask.tolist()}")
        self.swapped = not bool(mask[0])  # the side that holds feature 0 comes first in memory
        sides = (second, first) if self.swapped else (first, second)
        self.sizes = [len(side) for side in sides]
        gather = torch.cat(sides)
        self.halves = bool((gather == torch.arange(len(mask))).all())
        self.register_buffer("gather", gather, persistent=False)
        self.register_buffer("restore", gather.argsort(), persistent=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides of x: D features into K and D - K."""
        ordered = x if self.halves else x.index_select(self.axis, self.gather)
        front, back = ordered.split(self.sizes, dim=self.axis)
        return (back, front) if self.swapped else (front, back)

    def merge(self, first: Tensor, second: Tensor) -> Tensor:
        """What `split` took apart."""
        x = torch.cat((second, first) if self.swapped else (first, second), dim=self.axis)
        return x if self.halves else x.index_select(self.axis, self.restore)
