"""Energy distance of latents to the Gaussian that they should follow."""

from __future__ import annotations

from statistics import fmean

import torch
from torch import Tensor

from flows.evaluation.metrics.pairwise import discrepancies

REDRAWS = 9


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, zero only between equal distributions.

    The V-statistic (each point also meets itself): never negative, and about E|X - X'|·(1/N + 1/M) between
    equal distributions, so compare it with what these reach at the same sizes. In float64, a block at a time.

    Shapes: x (N, *shape), y (M, *shape).
    References: Székely and Rizzo 2013, Energy statistics, doi:10.1016/j.jspi.2013.03.018.
    """
    return discrepancies(x, y, [torch.neg])[0]


def gaussian_distance(z: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Energy distance of z (N, *shape) to as many standard Gaussian draws, and the mean one between such."""

    def gaussian() -> Tensor:
        return torch.randn(z.shape, generator=generator, dtype=torch.float64)

    distance = energy_distance(z, gaussian())
    return distance, fmean(energy_distance(gaussian(), gaussian()) for _ in range(REDRAWS))
