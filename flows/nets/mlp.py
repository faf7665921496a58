"""The fully connected net."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, final

import torch
from torch import Tensor, nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
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

    Shapes: x (..., inputs); context (..., context) or None; result (..., outputs).

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
    ) -> None:
        super().__init__()
        sizes = [inputs + context] + [width] * depth
        hidden: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            hidden += [nn.Linear(fan_in, fan_out), _ACTIVATIONS[activation]()]
        last = nn.Linear(sizes[-1], outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(x if context is None else torch.cat((x, context), dim=-1))
