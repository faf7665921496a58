"""Features that have one end: prices, durations, counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self, final

import torch
from torch import Tensor

from flows.core import Batch, Spec, Transform


def one_sided(spec: Spec) -> bool:
    """Whether a feature has a support of one end.

    >>> one_sided(Spec(names=("a", "b"), shape=(2,), support=((0.0, None), None)))
    True
    """
    return any(_side(*spec.ends(k)) for k in range(len(spec.names))) if spec.support else False


@final
class Halfline(Transform):
    """The logarithm of the distance from a feature's only end, growing with the feature; the others pass.

    Beyond the end the density is zero: ladj is -inf there. A point on it, where rounding can put one that was
    drawn inside, counts as one at the least distance that numbers of this precision can have from it.

    Args:
        spec: Names the ends.

    Shapes: x, z (..., D); ladj (...).

    >>> z, ladj = Halfline(Spec(names=("a", "b"), shape=(2,), support=((0.0, None), None)))(torch.ones(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    side: Tensor
    end: Tensor
    unit: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        pairs = [spec.ends(k) for k in range(len(spec.names))]
        sides = [_side(*pair) for pair in pairs]
        self.ends = [{1: low, -1: high, 0: 0.0}[side] for (low, high), side in zip(pairs, sides, strict=True)]
        self.register_buffer("side", torch.tensor(sides, dtype=torch.get_default_dtype()), persistent=False)
        self.register_buffer("end", torch.zeros(spec.shape), persistent=False)
        self.register_buffer("unit", torch.ones(spec.shape))
        self._place()

    def initialise(self, batch: Batch) -> None:
        """Fit the units of distances: their medians, which a long tail doesn't move."""
        median = (self.side * (batch.x - self.end)).median(0).values
        self.unit.copy_(torch.where(median > 0, median, 1.0))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.each(x)
        return z, log_slope.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        far = math.log(torch.finfo(z.dtype).max) / 2  # where squares, in these units, are finite still
        log_distance = (self.side * z).clamp(max=far)
        x = torch.where(self.side != 0, self.end + self.side * self.unit * log_distance.exp(), z)
        return x, (log_distance + self.unit.log()).sum(-1)

    def each(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log |dz/dx| feature by feature: (..., D) both."""
        known = torch.finfo(x.dtype)
        distance = torch.where(self.side != 0, self.side * (x - self.end) / self.unit, 1.0)
        least = (known.eps * self.end.abs() / self.unit).clamp(min=known.tiny)
        log_distance = distance.clamp(min=least).log()
        z = torch.where(self.side != 0, self.side * log_distance, x)
        return z, torch.where(distance < 0, -torch.inf, -log_distance - self.unit.log())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._place()  # after .double(), say, the ends would still be those of single precision
        return self

    def _place(self) -> None:
        self.end = self.end.new_tensor(self.ends)


def _side(low: float, high: float) -> int:
    """1 where the only end is the low one, -1 where it is the high one, 0 where there are two or none."""
    return int(math.isfinite(low)) - int(math.isfinite(high))
