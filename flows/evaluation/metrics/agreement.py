"""Whether what a density draws is what it claims to be likely."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from flows.core import Batch, Density
from flows.evaluation.blocks import log_prob, samples
from flows.evaluation.metrics.bootstrap import Interval, bootstrap

EXPECTED = 5.0  # fewest expected draws in a cell for which χ² is χ²
NODES = (8, 12, 24, 48)  # quadrature nodes a side of a cell, until two in a row agree


class ChiSquare(NamedTuple):
    """A χ² statistic, its degrees of freedom, and the chance of one as large if all is well."""

    statistic: float
    degrees: int
    p: float


def sample_chi2(
    density: Density,
    contexts: Tensor | None,
    generator: torch.Generator,
    n: int = 20_000,
    cells: int = 32,
) -> ChiSquare:
    """Pearson's χ² of draws against the density's integral over each cell of a grid, for one or two features.

    A pilot draw places the grid. The integral is Gauss–Legendre's, refined in a cell until it is known
    well beyond the scatter of the draws; cells where that fails, and those that expect fewer than five
    draws, are joined with all that lies off the grid. Under several contexts the draws are shared out,
    and the statistics and their degrees of freedom add up.

    Args:
        density: What is tested.
        contexts: The contexts to test under (K, *context_shape), or None.
        generator: Of the draws.
        n: Draws altogether.
        cells: Cells a side.
    """
    from scipy import stats

    statistic, degrees = 0.0, 0
    rows = [None] if contexts is None else list(contexts)
    for context in rows:
        size = n // len(rows)
        given = None if context is None else context.expand(size, *context.shape)
        pilot = _finite(samples(density, size, given, generator))
        if not len(pilot):
            return ChiSquare(float("inf"), 1, 0.0)
        edges = _edges(pilot, cells)
        observed = _histogram(samples(density, size, given, generator), edges)
        expected = _expected(density, context, edges, size)
        value, freedom = _pearson(observed, expected, size)
        statistic, degrees = statistic + value, degrees + freedom
    p = float(stats.chi2.sf(statistic, degrees)) if degrees else float("nan")
    return ChiSquare(statistic, degrees, p)


def truth_ratio(
    density: Density, truth: Density, contexts: Tensor | None, generator: torch.Generator, n: int = 20_000
) -> Interval:
    """E over draws of the model of p_true / p_model: 1 where the sampler draws from the density it claims.

    It is taken over n draws; with contexts (N, *context_shape), over n // N of each, one at least. Where the
    model misses a part of the truth altogether, the ratio falls below 1 by the mass that is missed.
    """
    if contexts is not None:
        contexts = contexts.repeat(max(1, n // len(contexts)), *[1] * (contexts.dim() - 1))
    x = samples(density, n if contexts is None else len(contexts), contexts, generator)
    batch = Batch(x, contexts)
    return bootstrap((log_prob(truth, batch) - log_prob(density, batch)).exp(), generator)


def _finite(x: Tensor) -> Tensor:
    return x[x.isfinite().all(-1)]


def _edges(pilot: Tensor, cells: int) -> list[Tensor]:
    """Cell borders of each feature, over all but the outermost thousandth of the pilot draw on each side."""
    low, high = pilot.quantile(torch.tensor([0.001, 0.999], dtype=pilot.dtype), dim=0)
    margin = (0.02 * (high - low)).clamp(min=1e-6)
    ends = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    return [torch.linspace(a, b, cells + 1, dtype=torch.float64) for a, b in ends]


def _histogram(x: Tensor, edges: list[Tensor]) -> Tensor:
    return torch.histogramdd(_finite(x), bins=edges).hist.flatten()


def _expected(density: Density, context: Tensor | None, edges: list[Tensor], size: int) -> Tensor:
    """Draws that each cell expects (cells**D,), in the order of `_histogram`; 0 where that stays unknown."""
    low = torch.cartesian_prod(*(e[:-1] for e in edges)).reshape(-1, len(edges))
    high = torch.cartesian_prod(*(e[1:] for e in edges)).reshape(-1, len(edges))
    expected = size * _integrals(density, context, low, high, NODES[0])
    open_cells = torch.arange(len(expected))
    for nodes in NODES[1:]:
        if not len(open_cells):
            break
        finer = size * _integrals(density, context, low[open_cells], high[open_cells], nodes)
        coarser, expected[open_cells] = expected[open_cells], finer
        scatter = torch.maximum(finer, coarser).sqrt()
        open_cells = open_cells[(finer - coarser).abs() > 0.1 * scatter]
    expected[open_cells] = 0.0
    return expected


def _integrals(density: Density, context: Tensor | None, low: Tensor, high: Tensor, nodes: int) -> Tensor:
    """Probability of each box (K,) between its corners low and high (K, D)."""
    import numpy as np

    features = low.shape[1]
    roots, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(nodes))
    unit = torch.cartesian_prod(*[(1 + roots) / 2] * features).reshape(-1, features)
    share = torch.cartesian_prod(*[weights / 2] * features).reshape(-1, features).prod(-1)
    points = (low[:, None] + (high - low)[:, None] * unit).flatten(0, 1)
    given = None if context is None else context.expand(len(points), *context.shape)
    density_there = log_prob(density, Batch(points, given)).exp().reshape(len(low), -1)
    return density_there @ share * (high - low).prod(-1)


def _pearson(observed: Tensor, expected: Tensor, size: int) -> tuple[float, int]:
    """χ² over the cells that expect enough, and one more for everything else."""
    order = expected.argsort(descending=True)
    observed, expected = observed[order], expected[order]
    keep = (expected >= EXPECTED) & (size - expected.cumsum(0) >= EXPECTED)
    keep = keep.long().cumprod(0).bool()  # the largest cells, up to the first that fails
    rest = torch.stack((size - observed[keep].sum(), size - expected[keep].sum()))
    observed, expected = torch.cat((observed[keep], rest[:1])), torch.cat((expected[keep], rest[1:]))
    return ((observed - expected).square() / expected).sum().item(), int(keep.sum())
