"""All distances between two clouds of points, a block at a time, and what is averaged over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

AT_ONCE = 2**17  # distances in a block: a megabyte, which stays in the cache
ROWS = 16  # fewest rows of a block, so that long ones don't make too many

Kernel = Callable[[Tensor], Tensor]


def distance_blocks(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Euclidean distances of x (N, *shape) to y (M, *shape) in float64: blocks (B, M), row after row.

    Memory is that of one block, max(AT_ONCE, ROWS·M) numbers.
    """
    x, y = x.double().flatten(1), y.double().flatten(1)
    # The matrix-product shortcut of cdist cancels catastrophically for near neighbours.
    exact = "donot_use_mm_for_euclid_dist"
    for block in x.split(max(ROWS, AT_ONCE // len(y))):
        yield torch.cdist(block, y, compute_mode=exact)


def discrepancies(x: Tensor, y: Tensor, kernels: Sequence[Kernel]) -> list[float]:
    """E k(X, X') + E k(Y, Y') - 2 E k(X, Y) of each kernel, where each point also meets itself.

    The V-statistic: never negative for a (conditionally) positive definite kernel, and above zero even
    between draws of one law, so compare it with others at the same sizes.

    Args:
        x, y: The clouds (N, *shape) and (M, *shape).
        kernels: Functions of a block of distances.

    >>> len(discrepancies(torch.zeros(3, 2), torch.ones(5, 2), [torch.neg, gaussian(1.0)]))
    2
    """
    within_x, within_y, between = (_means(*pair, kernels) for pair in ((x, x), (y, y), (x, y)))
    return [a + b - 2 * c for a, b, c in zip(within_x, within_y, between, strict=True)]


def gaussian(sigma: float) -> Kernel:
    """exp(-d² / 2σ²)."""

    def kernel(distance: Tensor) -> Tensor:
        return distance.square().mul_(-0.5 / sigma**2).exp_()

    return kernel


def _means(x: Tensor, y: Tensor, kernels: Sequence[Kernel]) -> list[float]:
    totals = [0.0] * len(kernels)
    for block in distance_blocks(x, y):
        totals = [total + kernel(block).sum().item() for total, kernel in zip(totals, kernels, strict=True)]
    return [total / (len(x) * len(y)) for total in totals]
