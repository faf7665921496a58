"""Periodic Gaussian random fields that a coarse instrument saw: a conditional law that is known exactly."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from flows.core import Batch, Density


class Matern(NamedTuple):
    """Power of a field by wave number k, in radians a cell: (1 + (kℓ)²)^-(ν+1), and white noise.

    References: Whittle 1954, On stationary processes in the plane, Biometrika 41.
    """

    smoothness: float
    """ν."""
    length: float
    """ℓ, in cells."""
    nugget: float
    """Share of the variance that is white."""

    def power(self, height: int, width: int) -> Tensor:
        """Variance of each Fourier coefficient, of mean 1 (height, width), float64."""
        waves = [2 * math.pi * torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width)]
        k_squared = waves[0].square().unsqueeze(1) + waves[1].square()
        smooth = (1 + k_squared * self.length**2) ** -(self.smoothness + 1)
        return (1 - self.nugget) * smooth / smooth.mean() + self.nugget


@final
class GaussianField(Density):
    r"""p(x | context), x = w(g): g a Gaussian field of C channels, the context block means of it, with noise.

    Channels have the correlation matrix R = (1 - ρ) I + ρ 11ᵀ, each the power λ(k); the instrument saw
    y = B g + σ ε, B the means over b × b cells. By Bayes' rule, p(g | y) = p(g) p(y | g) / p(y), and the
    first and the last are products over Fourier coefficients. Draws are a prior draw, corrected by the
    regression on what the instrument would have seen of it (Matheron's rule). The warp w,
    x = sinh(asinh(g) + skew), acts cell by cell. Whatever the precision of x, all is computed in float64.

    The context's first C channels are y, each value repeated over its block; then come the static fields.

    Args:
        matern: Power of the field.
        size: Height and width, in cells.
        channels: C.
        correlation: ρ, between any two channels.
        block: b, which divides height and width.
        noise: σ of the instrument.
        skew: Of the warp; 0 leaves the field Gaussian.
        mean: Of g, (H, W), the same for each channel; it may depend on static fields.
        static: Fields that are part of the context (S, H, W), or None.

    Shapes: x (*batch, C, H, W); context (*batch, C + S, H, W).
    References: Journel and Huijbregts 1978, Mining geostatistics (conditioning by kriging); Jones and Pewsey
        2009, Sinh-arcsinh distributions, Biometrika 96.
    """

    def __init__(
        self,
        matern: Matern,
        size: tuple[int, int],
        channels: int = 1,
        correlation: float = 0.0,
        block: int = 4,
        noise: float = 0.1,
        skew: float = 0.0,
        mean: Tensor | None = None,
        static: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.size, self.channels, self.block = size, channels, block
        self.noise, self.skew = noise, skew
        self.mean = torch.zeros(size, dtype=torch.float64) if mean is None else mean.double()
        self.static = static
        related = torch.full((channels, channels), correlation, dtype=torch.float64)
        related.fill_diagonal_(1.0)
        strength, self.axes = torch.linalg.eigh(related)  # R = axes · strength · axesᵀ
        strength = strength[:, None, None]
        power = matern.power(*size)
        window = torch.zeros(size, dtype=torch.float64)
        window[:block, :block] = 1 / block**2
        seen = power * torch.fft.fft2(window).abs().square() / block**2
        coarse = [n // block for n in size]
        aliased = seen.reshape(block, coarse[0], block, coarse[1]).sum((0, 2))
        self.power = strength * power  # of g along the axes (C, H, W)
        self.seen = strength * aliased + noise**2  # of y along the axes (C, H/b, W/b)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        y, x = self._observed(context), x.double()
        turned = torch.asinh(x) - self.skew
        log_slope = (torch.cosh(turned).log() - 0.5 * torch.log1p(x.square())).sum((-3, -2, -1))
        g, y = turned.sinh() - self.mean, y - self._blocks(self.mean)
        error = (y - self._blocks(g)).square().sum((-3, -2, -1)) / self.noise**2
        log_likelihood = -0.5 * error - math.prod(y.shape[-3:]) * math.log(
            self.noise * math.sqrt(2 * math.pi)
        )
        log_prior, log_evidence = _log_prob(self._along(g), self.power), _log_prob(self._along(y), self.seen)
        return log_prior + log_likelihood - log_evidence + log_slope

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        y = self._observed(context) - self._blocks(self.mean)
        batch = (n, *y.shape[:-3])
        white = torch.randn((*batch, self.channels, *self.size), generator=generator, dtype=torch.float64)
        error = torch.randn((*batch, *y.shape[-3:]), generator=generator, dtype=torch.float64)
        return self.warp(self._regress(*self._prior(white, error), y) + self.mean).to(_dtype(context))

    @torch.no_grad()
    def expected(self, context: Tensor) -> Tensor:
        """E[g | context], which is x's where there is no warp: (*batch, C, H, W)."""
        y = self._observed(context) - self._blocks(self.mean)
        nothing = torch.zeros(*y.shape[:-2], *self.size, dtype=torch.float64)
        return self._regress(nothing, torch.zeros_like(y), y) + self.mean

    @torch.no_grad()
    def covariance(self) -> Tensor:
        """Cov[g | context], x's where there is no warp, the same for each context: (C·H·W, C·H·W).

        A row and a column for each cell, in the order that `flatten` gives them; meant for small grids.
        """
        cells = self.channels * math.prod(self.size)
        unit = torch.eye(cells, dtype=torch.float64).unflatten(1, (self.channels, *self.size))
        prior = self._across(_filtered(self._along(unit), self.power))
        nothing = torch.zeros(cells, *self.seen.shape, dtype=torch.float64)
        return self._regress(prior, self._blocks(prior), nothing).flatten(1)

    def joint(self, white: Tensor, error: Tensor) -> Batch:
        """Fields and contexts, made of white noise (N, C, H, W) and (N, C, H/b, W/b)."""
        g, y = self._prior(white, error)
        context = self._spread(y + self._blocks(self.mean))
        if self.static is not None:
            context = torch.cat((context, self.static.expand(len(g), *self.static.shape)), 1)
        return Batch(self.warp(g + self.mean), context)

    def warp(self, g: Tensor) -> Tensor:
        """x of g; g itself where there is no skew."""
        return torch.sinh(torch.asinh(g) + self.skew) if self.skew else g

    def _prior(self, white: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """g without its mean, and what the instrument sees of it."""
        g = self._across(_filtered(white, self.power.sqrt()))
        return g, self._blocks(g) + self.noise * error

    def _regress(self, g: Tensor, seen: Tensor, y: Tensor) -> Tensor:
        """g, corrected so that it was seen as y."""
        weights = _filtered(self._along(y - seen), 1 / self.seen)
        return g + self._across(_filtered(self._spread(weights) / self.block**2, self.power))

    def _observed(self, context: Tensor | None) -> Tensor:
        if context is None:
            raise ValueError("a law given a context needs one")
        return context[..., : self.channels, :: self.block, :: self.block].double()

    def _blocks(self, g: Tensor) -> Tensor:
        """Means over blocks: (..., H, W) to (..., H/b, W/b)."""
        rows = g.unflatten(-1, (-1, self.block)).mean(-1)
        return rows.unflatten(-2, (-1, self.block)).mean(-2)

    def _spread(self, y: Tensor) -> Tensor:
        """Each value over its block."""
        return y.repeat_interleave(self.block, -1).repeat_interleave(self.block, -2)

    def _along(self, g: Tensor) -> Tensor:
        """Channels as coordinates along the axes of R, where they are independent."""
        return torch.einsum("...chw,cd->...dhw", g, self.axes)

    def _across(self, g: Tensor) -> Tensor:
        return torch.einsum("...dhw,cd->...chw", g, self.axes)


def _filtered(g: Tensor, gain: Tensor) -> Tensor:
    """g with its Fourier coefficients multiplied."""
    return torch.fft.ifft2(torch.fft.fft2(g) * gain).real


def _log_prob(g: Tensor, power: Tensor) -> Tensor:
    """Log-density of a stationary field of this power."""
    energy = torch.fft.fft2(g, norm="ortho").abs().square()
    return -0.5 * (energy / power + (2 * math.pi * power).log()).sum((-3, -2, -1))


def _dtype(context: Tensor | None) -> torch.dtype:
    return torch.float64 if context is None else context.dtype
