"""A net whose outputs are zero in some places."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn


@final
class Muted(nn.Module):
    """A net whose outputs are zero where the mask is False, whatever it sees.

    Args:
        net: Maps (..., inputs), (..., C) to (..., outputs).
        mask: Of one of its outputs, bool; it may have several dimensions.

    Shapes: x (..., inputs); context (..., C) or None; result (..., outputs).

    >>> import torch
    >>> from flows.nets import ConvNet
    >>> mask = torch.arange(5) < 4
    >>> Muted(ConvNet(1, 2), mask.expand(2, 4, 5))(torch.zeros(7, 1, 4, 5)).shape
    torch.Size([7, 2, 4, 5])
    """

    mask: Tensor

    def __init__(self, net: nn.Module, mask: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mask", mask.clone(), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.net(x, context) * self.mask
