"""A masked net whose answer for each feature depends on those before it alone."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flows.nets.waves import Waves


@final
class MADE(nn.Module):
    """A residual net, masked so that outputs of a feature see the context and the features of lower rank.

    The last layer starts at zero, so a flow starts as its base.

    Args:
        rank: Place of each feature in the order, a permutation of 0, …, D - 1 (D,).
        params: Outputs of each feature.
        context: Features of the context, which everything sees; 0 for none.
        width: Units of a layer.
        depth: Residual blocks, of two layers each.
        octaves: Sine features of each input.
        dropout: Share of the hidden units that is left out in training.

    Shapes: x (..., D); context (..., C) or None, its lead broadcast; result (..., params * D), parameter by
        parameter.
    Raises: ValueError if there are fewer units than features.
    References: Germain et al. 2015, MADE, arXiv:1502.03509.

    >>> MADE(torch.arange(3), params=4)(torch.zeros(7, 3)).shape
    torch.Size([7, 12])
    """

    def __init__(
        self,
        rank: Tensor,
        params: int,
        context: int = 0,
        width: int = 128,
        depth: int = 2,
        octaves: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        features = len(rank)
        if width < features:
            raise ValueError(f"{width} units can't tell {features} features apart; give as many at least")
        self.waves = Waves(octaves)
        # a unit of degree k sees features of rank below k; degree 0 sees the context alone
        hidden = torch.arange(width) % features
        inputs = torch.cat((rank.repeat_interleave(self.waves.size), -torch.ones(context, dtype=torch.long)))
        self.first = _Masked(hidden.unsqueeze(-1) > inputs)
        inner = hidden.unsqueeze(-1) >= hidden
        self.blocks = nn.ModuleList(nn.ModuleList((_Masked(inner), _Masked(inner))) for _ in range(depth))
        self.last = _Masked(rank.repeat(params).unsqueeze(-1) >= hidden)
        for p in self.last.parameters():
            nn.init.zeros_(p)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        seen = self.waves(x).flatten(-2)
        h = self.first(seen if context is None else torch.cat((seen, context.expand(*x.shape[:-1], -1)), -1))
        for block in self.blocks:
            inner, outer = block.children()
            h = h + self.dropout(outer(F.silu(self.dropout(inner(F.silu(h))))))
        return self.last(F.silu(h))


@final
class _Masked(nn.Linear):
    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.mask, self.bias)
