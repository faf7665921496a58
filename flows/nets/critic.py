"""What tells data from draws: no batch statistic, for the gradient penalty is an example's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn

from flows.nets.conv import Conv, Padding


@final
class Critic(nn.Module):
    """A score of x beside its context: strided convolutions of fields, dense layers of vectors.

    Each layer but the first and the last is followed by a layer norm over all of an example. Fields may be of
    any size: they are halved `depth` times, a side of one cell staying, and what is left is averaged.

    Args:
        shape: Of x: (D,), or (C, H, W) with H and W unheeded.
        context: Features, or channels, of the context, joined to those of x; 0 for none.
        width: Units of a dense layer, or channels of the first convolution; of the others twice as many.
        depth: Layers, the first and the last not counted.
        padding: What convolutions see beyond the edges: zeros, the other side (circular), or the edge.

    Shapes: x (*batch, *shape); context (*batch, context, …) or None; score (*batch,).
    References: Gulrajani et al. 2017, Improved training of Wasserstein GANs, arXiv:1704.00028; Ba et al.
        2016, Layer normalization, arXiv:1607.06450.

    >>> Critic((2, 33, 49), context=3)(torch.zeros(7, 2, 33, 49), torch.zeros(7, 3, 33, 49)).shape
    torch.Size([7])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        context: int = 0,
        width: int = 32,
        depth: int = 3,
        padding: Padding = "circular",
    ) -> None:
        super().__init__()
        self.event = len(shape)
        channels = shape[0] + context
        if len(shape) == 1:
            self.layers = nn.Sequential(*_dense(channels, width, depth))
        else:
            self.layers = nn.Sequential(*_convolutional(channels, width, depth, padding))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        seen = x if context is None else torch.cat((x, context), -self.event)
        batch = seen.shape[: -self.event]
        return self.layers(seen.reshape(math.prod(batch), *seen.shape[-self.event :])).reshape(batch)


def _dense(inputs: int, width: int, depth: int) -> Iterator[nn.Module]:
    yield nn.Linear(inputs, width)
    for _ in range(depth):
        yield nn.SiLU()
        yield nn.Linear(width, width)
        yield nn.LayerNorm(width)
    yield nn.SiLU()
    yield nn.Linear(width, 1)


def _convolutional(inputs: int, width: int, depth: int, padding: Padding) -> Iterator[nn.Module]:
    yield Conv(inputs, width, padding)
    before = width
    for _ in range(depth):
        yield nn.SiLU()
        yield Conv(before, 2 * width, padding, stride=2)
        yield nn.GroupNorm(1, 2 * width)  # one group: a layer norm, with a scale for each channel
        before = 2 * width
    yield nn.SiLU()
    yield nn.AdaptiveAvgPool2d(1)
    yield nn.Flatten()
    yield nn.Linear(before, 1)
