"""Densities of one number, whose parameters a net supplies."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor, nn

from flows.transforms import Spline

WIDEST = 3.0  # scale of a component


class Head(nn.Module, ABC):
    """A density of each of D numbers; `params` numbers steer each.

    Shapes: z (..., D); theta (..., D, params).
    """

    params: int

    @abstractmethod
    def log_prob(self, z: Tensor, theta: Tensor) -> Tensor:
        """Log-density of each feature: (..., D)."""

    @abstractmethod
    def sample(self, theta: Tensor, feature: int, generator: torch.Generator | None = None) -> Tensor:
        """One draw of one feature for each of theta (..., params): (...)."""


@final
class Gaussians(Head):
    r"""Mixtures of Gaussians, cut off at 0 and 1 for bounded features.

    p(z) = Σ_k w_k φ((z - μ_k)/s_k) / s_k, each component divided by the mass it has in (0, 1) where the
    feature is bounded. A bounded feature's μ lies in (0, 1), an unbounded one's is meant in standard
    deviations. At θ = 0 the components are spread evenly.

    Args:
        bounded: Features that live in (0, 1), bool (D,).
        components: K.
        narrowest: Least scale of a component.

    References: Bishop 1994, Mixture density networks, Aston University NCRG/94/004.

    >>> head = Gaussians(torch.tensor([True, False]), components=4)
    >>> head.log_prob(torch.rand(7, 2), torch.zeros(7, 2, head.params)).shape
    torch.Size([7, 2])
    """

    bounded: Tensor
    centres: Tensor
    spread: Tensor

    def __init__(self, bounded: Tensor, components: int = 16, narrowest: float = 1e-3) -> None:
        super().__init__()
        self.components = components
        self.least = math.log(narrowest)
        self.reach = (math.log(WIDEST) - self.least) / 2  # of the range of log-scales
        self.params = 3 * components
        middles = (torch.arange(components) + 0.5) / components
        free = torch.special.ndtri(middles)
        width = torch.where(bounded, 1.0, 2.0) / components
        self.register_buffer("bounded", bounded, persistent=False)
        self.register_buffer(
            "centres", torch.where(bounded.unsqueeze(-1), middles.logit(), free), persistent=False
        )
        self.register_buffer("spread", width.log().unsqueeze(-1), persistent=False)

    def log_prob(self, z: Tensor, theta: Tensor) -> Tensor:
        log_weight, mean, log_scale = self._components(theta, self.bounded, self.centres, self.spread)
        t = (z.unsqueeze(-1) - mean) * torch.exp(-log_scale)
        log_density = -0.5 * t.square() - log_scale - 0.5 * math.log(2 * math.pi)
        bounded = self.bounded.unsqueeze(-1)
        inside = torch.where(bounded, mean, 0.5)  # where its mass and its gradient are finite
        mass = torch.where(bounded, _log_mass(inside, log_scale), 0.0)
        return torch.logsumexp(log_weight + log_density - mass, -1)

    def sample(self, theta: Tensor, feature: int, generator: torch.Generator | None = None) -> Tensor:
        bounded = self.bounded[feature]
        log_weight, mean, log_scale = self._components(
            theta, bounded, self.centres[feature], self.spread[feature]
        )
        random = torch.rand(
            (2, *theta.shape[:-1]), generator=generator, dtype=theta.dtype, device=theta.device
        )
        edges = log_weight.exp().cumsum(-1)[..., :-1].contiguous()
        chosen = torch.searchsorted(edges, random[0].unsqueeze(-1), right=True)
        mean, log_scale = (t.gather(-1, chosen).squeeze(-1) for t in (mean, log_scale))
        low = torch.where(bounded, torch.special.ndtr(-mean * torch.exp(-log_scale)), 0.0)
        high = torch.where(bounded, torch.special.ndtr((1 - mean) * torch.exp(-log_scale)), 1.0)
        margin = torch.finfo(theta.dtype).eps
        place = (low + (high - low) * random[1]).clamp(margin, 1 - margin)
        z = mean + torch.special.ndtri(place) * log_scale.exp()
        return torch.where(bounded, z.clamp(margin, 1 - margin), z)

    def _components(
        self, theta: Tensor, bounded: Tensor, centres: Tensor, spread: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means and log-scales (..., K)."""
        weight, mean, scale = theta.split(self.components, dim=-1)
        mean = mean + centres
        mean = torch.where(bounded.unsqueeze(-1), mean.sigmoid(), mean)
        scale = self.least + self.reach * (1 + torch.tanh((scale + spread - self.least) / self.reach - 1))
        return weight.log_softmax(-1), mean, scale


@final
class Splines(Head):
    r"""A spline onto what is uniform, for bounded features, or onto the standard Gaussian.

    p(z) = f'(z) for features in (0, 1), φ(f(z)) f'(z) for others, f a monotone rational-quadratic spline:
    edges of a density, and plateaus, take one bin each.

    Args:
        bounded: Features that live in (0, 1), bool (D,).
        bins: Pieces of each spline.
        reach: Half the interval of an unbounded feature's spline.

    References: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.

    >>> head = Splines(torch.tensor([True, False]), bins=4)
    >>> head.log_prob(torch.rand(7, 2), torch.zeros(7, 2, head.params)).shape
    torch.Size([7, 2])
    """

    bounded: Tensor

    def __init__(self, bounded: Tensor, bins: int = 16, reach: float = 5.0) -> None:
        super().__init__()
        low, high = torch.where(bounded, 0.0, -reach), torch.where(bounded, 1.0, reach)
        self.spline = Spline(low, high, bounded, bins)
        self.each = nn.ModuleList(
            Spline(low[k : k + 1], high[k : k + 1], bounded[k : k + 1], bins) for k in range(len(bounded))
        )
        self.params = self.spline.params
        self.register_buffer("bounded", bounded, persistent=False)

    def log_prob(self, z: Tensor, theta: Tensor) -> Tensor:
        base, log_slope = self.spline.forward(z, theta.transpose(-1, -2).flatten(-2))
        gaussian = -0.5 * base.square() - 0.5 * math.log(2 * math.pi)
        return log_slope + torch.where(self.bounded, 0.0, gaussian)

    def sample(self, theta: Tensor, feature: int, generator: torch.Generator | None = None) -> Tensor:
        margin = torch.finfo(theta.dtype).eps
        size = theta.shape[:-1]
        uniform = torch.rand(size, generator=generator, dtype=theta.dtype, device=theta.device)
        uniform = uniform.clamp(margin, 1 - margin)
        base = torch.where(self.bounded[feature], uniform, torch.special.ndtri(uniform))
        spline: Any = self.each[feature]
        return spline.inverse(base.unsqueeze(-1), theta)[0][..., 0]


def _log_mass(mean: Tensor, log_scale: Tensor) -> Tensor:
    """log(Φ(b) - Φ(a)), a and b the ends 0 and 1 in units of the scale, on either side of the mean."""
    inverse = torch.exp(-log_scale)
    low, high = torch.special.log_ndtr(-mean * inverse), torch.special.log_ndtr((1 - mean) * inverse)
    return high + torch.log(-torch.expm1(low - high))
