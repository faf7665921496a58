"""Convolutional nets for fields: no batch statistic, so what an example gives is its own.

Shapes: C channels, H height, W width; any dimensions may lead.
"""

from __future__ import annotations

import math
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["zeros", "circular", "replicate"]


@final
class ConvNet(nn.Module):
    """Residual blocks of 3 × 3 convolutions. The last layer starts at zero, so a flow starts as its base.

    Args:
        inputs: Channels of x.
        outputs: Channels of the result.
        context: Channels of the context, which joins after the first layer, cell by cell; 0 for none.
        width: Channels of a layer.
        depth: Residual blocks, of two layers each.
        padding: What lies beyond the edges.

    Shapes: x (..., inputs, H, W); context (..., context, H, W) or None, its lead broadcast; result
        (..., outputs, H, W).
    References: He et al. 2016, Identity mappings in deep residual networks, arXiv:1603.05027.

    >>> ConvNet(2, 4, context=3)(torch.zeros(7, 2, 5, 6), torch.zeros(7, 3, 5, 6)).shape
    torch.Size([7, 4, 5, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        width: int = 48,
        depth: int = 1,
        padding: Padding = "circular",
    ) -> None:
        super().__init__()
        self.first = Conv(inputs, width, padding)
        self.guide = nn.Conv2d(context, width, 1, bias=False) if context else None
        self.blocks = nn.Sequential(*(_Block(width, padding) for _ in range(depth)))
        self.last = Conv(width, outputs, padding)
        for p in self.last.parameters():
            nn.init.zeros_(p)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = _as_led(self.first(_images(x)), x)
        if self.guide is not None and context is not None:
            h = h + _as_led(self.guide(_images(context)), context)
        return _as_led(self.last(F.silu(self.blocks(_images(h)))), x)


@final
class Reduce(nn.Module):
    """Features at half the resolution: a convolution of 2 × 2 blocks, then residual blocks.

    Of an odd side the last block is a part of one. A channel of ones, in place of a bias, tells what is
    absent there from zeros; it also makes features of a context without channels.

    Args:
        inputs: Channels of x; may be 0.
        width: Channels of the features.
        depth: Residual blocks.
        padding: What lies beyond the edges.

    Shapes: x (..., inputs, H, W); result (..., width, ⌈H/2⌉, ⌈W/2⌉).

    >>> Reduce(3, 8)(torch.zeros(7, 3, 5, 6)).shape
    torch.Size([7, 8, 3, 3])
    """

    def __init__(self, inputs: int, width: int = 48, depth: int = 1, padding: Padding = "circular") -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs + 1, width, 2, stride=2, bias=False)
        self.blocks = nn.Sequential(*(_Block(width, padding) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        images = _images(x)
        height, width = x.shape[-2:]
        seen = torch.cat((images, images.new_ones(len(images), 1, height, width)), 1)
        h = self.first(F.pad(seen, (0, width % 2, 0, height % 2)))
        return _as_led(F.silu(self.blocks(h)), x)


@final
class _Block(nn.Module):
    def __init__(self, width: int, padding: Padding) -> None:
        super().__init__()
        self.inner, self.outer = Conv(width, width, padding), Conv(width, width, padding)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.outer(F.silu(self.inner(F.silu(h))))


@final
class Conv(nn.Conv2d):
    """A 3 × 3 convolution.

    Args:
        inputs: Channels of an image.
        outputs: Channels of the result.
        padding: What lies beyond the edges.
        stride: Cells from one place of the kernel to the next.

    Shapes: images (N, inputs, H, W); result (N, outputs, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, inputs: int, outputs: int, padding: Padding, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1, padding_mode=padding)

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "circular":
            return super().forward(input)
        # as F.pad does, in half the time
        rows = torch.cat((input[..., -1:, :], input, input[..., :1, :]), -2)
        return F.conv2d(
            torch.cat((rows[..., -1:], rows, rows[..., :1]), -1), self.weight, self.bias, self.stride
        )


def _images(x: Tensor) -> Tensor:
    """With one leading dimension, as convolutions want it."""
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def _as_led(images: Tensor, x: Tensor) -> Tensor:
    """With the leading dimensions of x."""
    return images.reshape(*x.shape[:-3], *images.shape[-3:])
