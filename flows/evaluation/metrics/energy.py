"""Energy distance between two clouds of points, and the floor that no model can go below."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from flows.evaluation.metrics.pairwise import discrepancies


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, zero only between equal distributions.

    The V-statistic (each point also meets itself): never negative, and about E|X - X'|·(1/N + 1/M) between
    equal distributions, so compare it with `floor` at the same sizes. In float64, a block at a time.

    Shapes: x (N, *shape), y (M, *shape).
    References: Székely and Rizzo 2013, Energy statistics, doi:10.1016/j.jspi.2013.03.018.
    """
    return discrepancies(x, y, [torch.neg])[0]


def floor(
    pair: Callable[[torch.Generator], tuple[Tensor, Tensor]], generator: torch.Generator, redraws: int = 9
) -> float:
    """Mean energy distance between two clouds of one distribution, drawn afresh by `pair`."""
    return fmean(energy_distance(*pair(generator)) for _ in range(redraws))


def gaussian_distance(z: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Energy distance of z (N, *shape) to as many standard Gaussian draws, and its floor."""

    def gaussian(generator: torch.Generator) -> Tensor:
        return torch.randn(z.shape, generator=generator, dtype=torch.float64)

    distance = energy_distance(z, gaussian(generator))
    return distance, floor(lambda g: (gaussian(g), gaussian(g)), generator)
