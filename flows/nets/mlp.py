"""The fully connected net."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flows.nets.columns import Columns

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,  # in place: its gradient needs its output alone
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


@final
class MLP(nn.Module):
    """`depth` hidden layers of `width` units. The last layer starts at zero, so a flow starts as its base.

    Args:
        inputs: Features of x.
        outputs: Features of the result.
        context: Features of the context, which joins x at the input; 0 for none.
        width: Units of a hidden layer.
        depth: Hidden layers.
        activation: Nonlinearity between layers.
        dropout: Share of the hidden units that is left out in training.
        columns: Whether outputs lie in memory one by one, as `Columns` has them.

    Shapes: x (..., inputs); context (..., context) or None, its lead broadcast; result (..., outputs).

    >>> MLP(2, 4, context=3)(torch.zeros(7, 2), torch.zeros(7, 3)).shape
    torch.Size([7, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        width: int = 64,
        depth: int = 2,
        activation: Activation = "relu",
        dropout: float = 0.0,
        columns: bool = False,
    ) -> None:
        super().__init__()
        sizes = [inputs + context] + [width] * depth
        hidden = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        last = Columns(sizes[-1], outputs) if columns else nn.Linear(sizes[-1], outputs)
        self.layers = nn.ModuleList([*hidden, last])
        self.activation = _ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        for p in self.layers[-1].parameters():
            nn.init.zeros_(p)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = x if context is None else torch.cat((x, context.expand(*x.shape[:-1], -1)), dim=-1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(self.activation(layer(x)))
        return last(x)
