"""Several nets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn


@final
class Separate(nn.Module):
    """Nets that see the same input; their outputs are joined.

    Args:
        nets: Each maps (..., inputs), (..., C) to outputs of its own.

    Shapes: x (..., inputs); context (..., C) or None; result (..., sum of the nets' outputs).

    >>> from flows.nets import MLP
    >>> Separate([MLP(2, 1), MLP(2, 3)])(torch.zeros(7, 2)).shape
    torch.Size([7, 4])
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.cat([net(x, context) for net in self.nets], dim=-1)
