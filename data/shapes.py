"""Densities in the plane that have a formula: what the toys are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import numpy as np
import torch
from torch import Tensor

from flows.core import Density
from flows.errors import UserError

BLOCK = 2**18  # distances held at once: 2 MB, which stays in the cache
PANELS = 256  # most panels along one curve
ORDER = 16  # nodes in a panel
PANEL = 6.0  # longest panel, in units of the noise


@final
class Gaussians(Density):
    """A weighted sum of Gaussians that share one diagonal covariance.

    Args:
        centres: Means (M, D).
        std: Standard deviation of every Gaussian, a number or one for each of the D features.
        weights: Positive (M,), brought to sum to 1; equal if None.

    Shapes: x (*batch, D).
    Raises: UserError if std isn't positive: the density would be singular.

    >>> Gaussians(torch.zeros(3, 2), 0.1).log_prob(torch.zeros(7, 2)).shape
    torch.Size([7])
    """

    def __init__(
        self, centres: Tensor, std: float | tuple[float, ...], weights: Tensor | None = None
    ) -> None:
        super().__init__()
        weights = torch.ones(len(centres)) if weights is None else weights
        self.centres: Tensor
        self.std: Tensor
        self.weights: Tensor
        self.register_buffer("centres", centres.double())
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64).expand(centres.shape[-1]).clone())
        self.register_buffer("weights", weights.double() / weights.double().sum())
        for value in self.std.tolist():
            _positive(value)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        z, means = x.reshape(-1, x.shape[-1]) / self.std, self.centres / self.std
        log_weights = self.weights.log()
        rows = max(1, BLOCK // len(means))
        # results go into one tensor: kept apart, they would pin the freed distances between them
        log_prob = torch.empty(len(z), dtype=z.dtype, device=z.device)
        for start in range(0, len(z), rows):
            # the plain distance, not the expanded square: exact near the centres, -inf at infinity
            distance = torch.cdist(z[start : start + rows], means, compute_mode=_PLAIN)
            log_prob[start : start + rows] = torch.logsumexp(log_weights - distance.square() / 2, -1)
        constant = self.std.log().sum() + math.log(2 * math.pi) * x.shape[-1] / 2
        return log_prob.reshape(x.shape[:-1]) - constant

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator) if n else slice(0)
        return self.centres[chosen] + self.std * _normal(n, self.centres, generator)


@final
class Ring(Density):
    r"""A circle, uniformly drawn, blurred by isotropic noise.

    Averaging the Gaussian over the angle gives a Bessel function, so this is exact for any noise:
    log p(x) = -(r-R)²/2σ² + log I₀ₑ(rR/σ²) - log 2πσ², where I₀ₑ(u) = e^{-u} I₀(u).

    Args:
        radius: R, not negative; 0 is a Gaussian.
        noise: σ.

    Shapes: x (*batch, 2).
    Raises: UserError if the noise isn't positive: the density would be singular.

    >>> Ring(1.0, 0.1).log_prob(torch.zeros(7, 2)).shape
    torch.Size([7])
    """

    def __init__(self, radius: float, noise: float) -> None:
        super().__init__()
        _positive(noise)
        self.radius: Tensor
        self.noise: Tensor
        self.register_buffer("radius", torch.tensor(radius, dtype=torch.float64))
        self.register_buffer("noise", torch.tensor(noise, dtype=torch.float64))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        r = torch.linalg.vector_norm(x, dim=-1)
        around = torch.special.i0e(r * self.radius / self.noise**2).log()
        across = -((r - self.radius) ** 2) / (2 * self.noise**2)
        return across + around - torch.log(2 * math.pi * self.noise**2)

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        angle = 2 * math.pi * _uniform(n, self.radius.expand(1), generator)[:, 0]
        circle = self.radius * torch.stack([angle.cos(), angle.sin()], -1)
        return circle + self.noise * _normal(n, circle, generator)


@final
class Box(Density):
    """Uniform between two corners, and impossible (-inf) outside.

    Args:
        low, high: Opposite corners, D numbers each.

    Shapes: x (*batch, D).
    Raises: UserError if high isn't above low.

    >>> Box((0.0, 0.0), (1.0, 1.0)).log_prob(torch.zeros(7, 2)).shape
    torch.Size([7])
    """

    def __init__(self, low: tuple[float, ...], high: tuple[float, ...]) -> None:
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", torch.tensor(low, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float64))
        if not bool((self.high > self.low).all()):
            raise UserError(f"a box needs high above low, but got low={low}, high={high}")

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        inside = ((x >= self.low) & (x <= self.high)).all(-1)
        return torch.where(inside, -(self.high - self.low).log().sum(), -math.inf)

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.low + (self.high - self.low) * _uniform(n, self.low, generator)


def ribbon(
    curve: Callable[[Tensor], Tensor],
    span: tuple[float, float],
    noise: float,
    weight: Callable[[Tensor], Tensor] = torch.ones_like,
) -> Gaussians:
    r"""A curve blurred by isotropic noise: ∫ w(t) N(x; curve(t), σ²) dt by Gauss-Legendre panels.

    The panels are equally long along the curve, and short beside the noise, so that log p is right
    to 1e-4 wherever data lie.

    Args:
        curve: Maps t (M,) to points (M, 2).
        span: First and last t.
        noise: σ.
        weight: How densely t is drawn (M,), in any unit; uniformly unless given.

    Raises: UserError if the noise isn't positive, or so small that it needs too many nodes.

    >>> ribbon(lambda t: torch.stack([t, t], -1), (0.0, 1.0), 0.1).sample(7).shape
    torch.Size([7, 2])
    """
    _positive(noise)
    fine = torch.linspace(*span, 4097, dtype=torch.float64)
    steps = torch.linalg.vector_norm(curve(fine).diff(dim=0), dim=-1)
    travelled = np.concatenate([[0.0], steps.cumsum(0).numpy()])
    panels = max(1, math.ceil(travelled[-1] / (PANEL * noise)))
    if panels > PANELS:
        least = 1.05 * travelled[-1] / (PANEL * PANELS)  # a little more, so that two digits suffice
        raise UserError(f"noise={noise:g} is too small to integrate along the curve; use {least:.2g} or more")
    ends = np.interp(np.linspace(0, travelled[-1], panels + 1), travelled, fine.numpy())
    node, share = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(ORDER))
    low, width = torch.from_numpy(ends[:-1, None]), torch.from_numpy(np.diff(ends)[:, None])
    t = (low + width * (1 + node) / 2).flatten()
    return Gaussians(curve(t), noise, (width * share).flatten() * weight(t))


_PLAIN = "donot_use_mm_for_euclid_dist"


def _positive(noise: float) -> None:
    if not noise > 0:
        raise UserError(f"noise={noise:g} makes the density singular; it must be above 0")


def _normal(n: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(n, like.shape[-1], dtype=like.dtype, device=like.device, generator=generator)


def _uniform(n: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(n, like.shape[-1], dtype=like.dtype, device=like.device, generator=generator)
