"""A linear layer for what reads its outputs one by one."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Columns(nn.Linear):
    """`nn.Linear`, but each output lies over all examples in a row of memory.

    The numbers are the same. Splines, which go through their parameters one by one, needn't transpose.

    Shapes: input (..., in_features); result (..., out_features).

    >>> Columns(3, 5)(torch.zeros(7, 3)).stride()
    (1, 7)
    """

    def forward(self, input: Tensor) -> Tensor:
        examples = input.reshape(-1, self.in_features)
        found = torch.addmm(self.bias.unsqueeze(-1), self.weight, examples.T)
        return found.T.view(*input.shape[:-1], self.out_features)
