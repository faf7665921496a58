"""Maximum mean discrepancy between two clouds of points, and the chance of one as large."""

from __future__ import annotations

import torch
from torch import Tensor

from flows.evaluation.metrics.pairwise import discrepancies, distance_blocks, gaussian


def mmd(x: Tensor, y: Tensor, sigma: float) -> float:
    """Squared MMD under the kernel exp(-d² / 2σ²), biased: each point also meets itself.

    Never negative, and about (1 - E k)·(1/N + 1/M) between draws of one law. In float64, a block at a time.

    Shapes: x (N, *shape), y (M, *shape).
    References: Gretton et al. 2012, A kernel two-sample test, JMLR 13.
    """
    return discrepancies(x, y, [gaussian(sigma)])[0]


def median_distance(x: Tensor) -> float:
    """Median distance between two of x (N, *shape); 1 if that is zero. Memory is quadratic."""
    return torch.pdist(x.double().flatten(1)).median().item() or 1.0


def permutation_p(
    x: Tensor, y: Tensor, sigma: float, generator: torch.Generator, permutations: int = 199
) -> float:
    """The share of random relabellings whose `mmd` is at least that of x and y, which counts as one.

    Under one law it is uniform over 1/(permutations + 1), 2/(permutations + 1), …, 1. Kernel values are
    made a block at a time; the labels take (N + M)·permutations numbers.

    Args:
        x, y: As many points each, (N, *shape).
        sigma: Of the kernel; fixed before the labels are shuffled.
        generator: Of the relabellings.

    References: Gretton et al. 2012, A kernel two-sample test, JMLR 13.
    """
    both, kernel = torch.cat((x, y)), gaussian(sigma)
    sign = torch.cat((torch.ones(len(x)), -torch.ones(len(y)))).double()
    shuffled = [sign[torch.randperm(len(both), generator=generator)] for _ in range(permutations)]
    signs = torch.stack([sign, *shuffled], 1)
    total = signs.new_zeros(signs.shape[1])
    start = 0
    for block in distance_blocks(both, both):
        total += (signs[start : start + len(block)] * (kernel(block) @ signs)).sum(0)
        start += len(block)
    # Rounding differs between labellings that amount to the same.
    return (total >= total[0] * (1 - 1e-9)).double().mean().item()
