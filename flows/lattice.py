"""Data on a lattice (pixels, 8-bit colours, counts) seen as a density: spread over its cells and back.

A lattice point is the lower corner of its cell, low + k·quantum. A density is that of points spread
uniformly over their cells, of which it gives E[log p(x + u·quantum)] ≤ log P(cell) - log |cell|.
"""

from __future__ import annotations

import math
from functools import cache
from typing import final

import torch
from torch import Tensor

from flows.core import Density, Spec

SNAP = 1e-4  # a value this share of a step below a lattice point counts as on it
ROUNDING = 4  # a value this many float roundings below a lattice point counts as on it


def dequantise(x: Tensor, spec: Spec, generator: torch.Generator | None = None) -> Tensor:
    """Spread each lattice feature uniformly over its cell; x itself where there is no lattice.

    Shapes: x (..., D).
    References: Theis et al. 2016, A note on the evaluation of generative models, arXiv:1511.01844.

    >>> spec = Spec(names=("a", "b"), shape=(2,), quantum=(1.0, None))
    >>> dequantise(torch.zeros(7, 2), spec).shape
    torch.Size([7, 2])
    """
    if spec.quantum is None:
        return x
    step = _steps(spec.quantum, x.dtype, x.device)
    slack = torch.maximum(SNAP * step, ROUNDING * torch.finfo(x.dtype).eps * x.abs())
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    # clear of both ends, so that neither rounding nor `quantise` carries a point into another cell
    return torch.where(step > 0, x + slack + (step - 3 * slack) * u, x)


def quantise(x: Tensor, spec: Spec) -> Tensor:
    """Move each lattice feature down to its lattice point, within its support; undoes `dequantise`.

    Shapes: x (..., D).

    >>> quantise(torch.tensor([2.7, 2.7]), Spec(names=("a", "b"), shape=(2,), quantum=(1.0, None)))
    tensor([2.0000, 2.7000])
    """
    if spec.quantum is None:
        return x
    columns = []
    for place, step in enumerate(spec.quantum):
        column = x[..., place]
        if step is not None:
            low, high = spec.ends(place)
            origin = low if math.isfinite(low) else 0.0
            last = round((high - origin) / step) - 1 if math.isfinite(high) else math.inf
            slack = (ROUNDING * torch.finfo(x.dtype).eps * column.abs()).clamp(min=SNAP * step)
            cells = torch.floor((column.double() - origin + slack) / step)
            cells = cells.clamp(0 if math.isfinite(low) else -math.inf, last)
            column = (origin + cells * step).to(x.dtype)
        columns.append(column)
    return torch.stack(columns, -1)


@cache  # made once: to copy it to a device at each step would make the host wait
def _steps(quantum: tuple[float | None, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Step of each feature, 0 where it has none (D,)."""
    return torch.tensor([step or 0.0 for step in quantum], dtype=dtype, device=device)


def within(x: Tensor, spec: Spec) -> Tensor:
    """Whether each example lies in a cell of the lattice, bool (...): `quantise` moves others into one.

    Shapes: x (..., D).
    """
    inside = torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)
    for place, step in enumerate(spec.quantum or ()):
        if step is not None:
            low, high = spec.ends(place)
            inside = inside & (x[..., place] >= low) & (x[..., place] < high)
    return inside


def log_cell(spec: Spec) -> float | None:
    """Log-volume of a lattice cell, which turns a density into a probability; None unless all is lattice."""
    if spec.quantum is None or None in spec.quantum:
        return None
    return sum(math.log(step) for step in spec.quantum if step is not None)


@final
class OnLattice(Density):
    """A density whose draws are brought back onto the lattice; a point's is that of its cell's middle.

    Args:
        density: Of points spread over their cells.
        spec: Says what the lattice is.
    """

    def __init__(self, density: Density, spec: Spec) -> None:
        super().__init__()
        self.density = density
        self.spec, self.shape = spec, spec.shape

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        corner = quantise(x, self.spec)
        steps = _steps(self.spec.quantum or (None,) * x.shape[-1], x.dtype, x.device)
        found = self.density.log_prob(torch.where(steps > 0, corner + steps / 2, x), context)
        return torch.where(within(x, self.spec), found, -torch.inf)

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return quantise(self.density.sample(n, context, generator), self.spec)
