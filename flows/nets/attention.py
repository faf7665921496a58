"""Queries that look things up in memories, layer after layer.

Memories never look at each other, so what a layer sees of one never changes as others come: its keys and
values are computed once, whatever is asked, in any order.

Shapes: B batch, Q queries, M memories, W width, H heads, L layers.
"""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn


@final
class Lookup(nn.Module):
    """A stack of pre-norm blocks: each query attends to the memories it may see, then passes a small MLP.

    Args:
        width: Units of a query and of a memory.
        heads: Attention heads; they divide the width.
        layers: Blocks.
        hidden: Units of a block's MLP, as a multiple of the width.
        dropout: Share of the units of each branch, and of each MLP, that is left out in training.

    Shapes: queries (B, Q, W); memories (B, M, W); visible bool, broadcast against (B, Q, M), one memory at
        least for each query; result (B, Q, W).
    Raises: ValueError if heads don't divide the width.
    References: Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762; Xiong et al. 2020, On layer
        normalization in the transformer architecture, arXiv:2002.04745.

    >>> import torch
    >>> net = Lookup(8, heads=2, layers=3)
    >>> net(torch.zeros(7, 4, 8), net.remember(torch.zeros(7, 5, 8)), torch.ones(4, 5).bool()).shape
    torch.Size([7, 4, 8])
    """

    def __init__(self, width: int, heads: int, layers: int, hidden: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads don't divide a width of {width}")
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.key_values = nn.Linear(width, 2 * width * layers)
        self.blocks = nn.ModuleList(_Block(width, heads, hidden, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def remember(self, memories_BMW: Tensor) -> Tensor:
        """Keys and values of memories for all layers: (L, 2, B, H, M, W/H)."""
        both = self.key_values(self.norm(memories_BMW))
        return both.unflatten(-1, (len(self.blocks), 2, self.heads, -1)).permute(2, 3, 0, 4, 1, 5)

    def forward(self, queries_BQW: Tensor, remembered: Tensor, visible_BQM: Tensor | None = None) -> Tensor:
        mask = None if visible_BQM is None else visible_BQM.unsqueeze(-3)  # the same for each head
        x = queries_BQW
        for block, (keys, values) in zip(self.blocks, remembered, strict=True):
            x = block(x, keys, values, mask)
        return self.last(x)


@final
class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.ask_norm, self.think_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, hidden * width), nn.Linear(hidden * width, width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        asked = self.ask(self.ask_norm(x)).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        found = F.scaled_dot_product_attention(asked, keys, values, mask)
        x = x + self.dropout(self.answer(found.transpose(-3, -2).flatten(-2)))
        thought = self.dropout(F.gelu(self.widen(self.think_norm(x))))
        return x + self.dropout(self.narrow(thought))
