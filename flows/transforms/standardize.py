"""Zero mean, unit variance: the units a net likes, kept inside the model."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from flows.core import Batch, Transform
from flows.errors import UserError


def fit(x: Tensor, shared: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of examples (N, *shape), float64 (*shape).

    The last `shared` dimensions have one for all their places, and size 1.

    Raises: UserError if a feature is constant or not finite.
    """
    x = x.double()  # float32 sums of large values would lose the variance
    over = (0, *range(-shared, 0))
    mean, std = x.mean(over, keepdim=True)[0], x.std(over, correction=0, keepdim=True)[0]
    if not bool((std > 0).all() & std.isfinite().all()):
        raise UserError(
            "training data: a constant or non-finite feature, so no unit for it: "
            f"std {std.flatten().tolist()}; use more examples, or leave the feature out"
        )
    return mean, std


@final
class Standardize(Transform):
    """z = (x - mean) / std, both fitted on the training data by `initialise`.

    Args:
        shape: Shape of one x.
        shared: Last dimensions that share a mean and std; 2 for one a channel of fields.

    Shapes: x, z (..., *shape); ladj (...).
    Raises: UserError from `initialise` if a feature, of x or of a context, is constant or not finite.

    >>> standardize = Standardize((2,))
    >>> standardize.initialise(Batch(torch.randn(100, 2)))
    >>> z, ladj = standardize(torch.zeros(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...], shared: int = 0) -> None:
        super().__init__()
        own = len(shape) - shared
        units = (*shape[:own], *[1] * shared)
        self.shared = shared
        self.cells = math.prod(shape[own:])  # that each unit serves
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("std", torch.ones(units))

    def initialise(self, batch: Batch) -> None:
        mean, std = fit(batch.x, self.shared)
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (x - self.mean) / self.std, self._ladj(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.std + self.mean, self._ladj(z, 1)

    def _ladj(self, x: Tensor, sign: int) -> Tensor:
        ladj = self.cells * (sign * self.std.log().sum())
        return ladj.expand(x.shape[: x.dim() - self.std.dim()])
