"""A density's own distribution function as a bijection."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from flows.heads import Head
from flows.transforms.elementwise import ALL, Elementwise


@final
class Cumulative(Elementwise):
    r"""z = Φ⁻¹(F(x; θ)), F the distribution function of a mixture: what follows it becomes standard Gaussian.

    The inverse has no closed form and is found by bisection; its gradient is that of the implicit function.
    Where F or 1 - F underflows, z saturates at about ±13 (float32) or ±37 (float64), and x can't be
    recovered. The log-slope is computed so that the density under a standard Gaussian base is still exact; so
    put this transform directly before such a base.

    Args:
        head: The mixture, given θ.

    References: Huang et al. 2018, Neural autoregressive flows, arXiv:1804.00779; Ho et al. 2019, Flow++,
        arXiv:1902.00275.

    >>> cumulative = Cumulative(Head(torch.tensor([True, True, False])))
    >>> z, log_slope = cumulative.forward(torch.rand(7, 3), torch.zeros(7, 3 * cumulative.params))
    >>> z.shape, log_slope.shape
    (torch.Size([7, 3]), torch.Size([7, 3]))
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head
        self.params = head.params

    def forward(self, x: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        mixture = self.head(self._by_feature(theta), which)
        below, above = mixture.tails(x)
        smaller = torch.minimum(below, above).clamp(min=torch.finfo(x.dtype).tiny)
        z = torch.special.ndtri(smaller)
        z = torch.where(below < above, z, -z)
        return z, mixture.log_prob(x) + 0.5 * z.square() + 0.5 * math.log(2 * math.pi)

    def inverse(self, z: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        mixture = self.head(self._by_feature(theta), which)
        # not torch.special.ndtr, whose lower tail is rounded to nothing
        below, above = (torch.special.erfc(side * math.sqrt(0.5)) / 2 for side in (-z, z))
        x = mixture.quantile(below, above).detach()
        found, log_slope = self.forward(x, theta, which)
        miss = z - found
        slope = torch.exp(-log_slope).clamp(max=torch.finfo(x.dtype).max)  # infinity times zero would be NaN
        x = x + (miss - miss.detach()) * slope.detach()  # adds zero, but carries the gradient
        return x, -self.forward(x, theta, which)[1]

    def _by_feature(self, theta: Tensor) -> Tensor:
        """From parameter by parameter to (..., D, params)."""
        return theta.unflatten(-1, (self.params, -1)).transpose(-1, -2)
