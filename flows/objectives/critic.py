"""The critic that a configuration describes."""

from __future__ import annotations

from flows.nets import Critic
from flows.nets.conv import Padding
from flows.types import NonNegativeInt, PositiveInt


def critic(
    shape: tuple[int, ...],
    context: int,
    width: PositiveInt = 32,
    depth: NonNegativeInt = 3,
    padding: Padding = "circular",
) -> Critic:
    """Strided convolutions of fields, dense layers of vectors: `Critic`, its numbers checked.

    Args:
        shape: Of x: (D,), or (C, H, W).
        context: Features, or channels, of the context; 0 for none.
        width: Units of a dense layer, or channels of the first convolution; of the others twice as many.
        depth: Layers, the first and the last not counted.
        padding: What convolutions see beyond the edges.

    >>> import torch
    >>> critic((2,), 0)(torch.zeros(7, 2)).shape
    torch.Size([7])
    """
    return Critic(shape, context, width, depth, padding)
