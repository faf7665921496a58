"""Zero mean, unit variance: the units a net likes, kept inside the model."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from flows.core import Batch, Transform
from flows.errors import UserError


def fit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of examples (N, *shape), float64 (*shape).

    Raises: UserError if a feature is constant or not finite.
    """
    x = x.double()  # float32 sums of large values would lose the variance
    mean, std = x.mean(0), x.std(0, correction=0)
    if not bool((std > 0).all() & std.isfinite().all()):
        raise UserError(
            f"training data: a constant or non-finite feature, so no unit for it: std {std.tolist()}; "
            "use more examples, or leave the feature out"
        )
    return mean, std


@final
class Standardize(Transform):
    """z = (x - mean) / std, both fitted on the training data by `initialise`.

    Args:
        shape: Shape of one x.

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

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def initialise(self, batch: Batch) -> None:
        mean, std = fit(batch.x)
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (x - self.mean) / self.std, self._ladj(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.std + self.mean, self._ladj(z, 1)

    def _ladj(self, x: Tensor, sign: int) -> Tensor:
        return (sign * self.std.log().sum()).expand(x.shape[: x.dim() - self.std.dim()])
