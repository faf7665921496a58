"""Data on a lattice (pixels, 8-bit colours, counts) seen as a density: spread over its cells and back.

A lattice point is the lower corner of its cell, low + k·quantum. A density is that of points spread
uniformly over their cells, of which it gives E[log p(x + u·quantum)] ≤ log P(cell) - log |cell|.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flows.core import Spec

SNAP = 1e-4  # of a step: what lies on the lattice but for rounding stays where it is


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
    step = torch.tensor([q or 0.0 for q in spec.quantum], dtype=x.dtype, device=x.device)
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + step * u


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
            low, high = (spec.support and spec.support[place]) or (0.0, math.inf)
            cells = torch.floor((column.double() - low) / step + SNAP)
            if math.isfinite(high):
                cells = cells.clamp(0, round((high - low) / step) - 1)
            column = (low + cells * step).to(x.dtype)
        columns.append(column)
    return torch.stack(columns, -1)


def log_cell(spec: Spec) -> float | None:
    """Log-volume of a lattice cell, which turns a density into a probability; None unless all is lattice."""
    if spec.quantum is None or None in spec.quantum:
        return None
    return sum(math.log(step) for step in spec.quantum if step is not None)
