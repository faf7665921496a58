"""Zero mean, unit variance: the units a net likes, kept inside the model."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from flows.core import Batch, Spec, Transform
from flows.errors import UserError
from flows.masks import present


def fit(x: Tensor, shared: int = 0, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of examples (N, *shape), float64 (*shape).

    The last `shared` dimensions have one for all their places, and size 1; those that aren't present,
    bool (*shape), don't count.

    Raises: UserError if a feature is constant or not finite.
    """
    x = x.double()  # float32 sums of large values would lose the variance
    over = (0, *range(-shared, 0))
    if present is None:
        mean, std = x.mean(over, keepdim=True)[0], x.std(over, correction=0, keepdim=True)[0]
    else:
        share = present.double().expand_as(x).mean(over, keepdim=True)[0]
        mean = torch.where(present, x, 0.0).mean(over, keepdim=True)[0] / share
        std = (torch.where(present, x - mean, 0.0).square().mean(over, keepdim=True)[0] / share).sqrt()
    known = std.isfinite() & (std > 4 * torch.finfo(std.dtype).eps * mean.abs())  # less is rounding error
    if not bool(known.all()):
        places = (~known).flatten().nonzero().flatten().tolist()
        raise UserError(
            "training data: constant or non-finite features or channels, so without a unit: "
            f"{places[:9]} of {known.numel()}, counted from 0; use more examples, or leave them out"
        )
    return mean, std


def normaliser(spec: Spec) -> Standardize | None:
    """Units of the context, one for each feature, or for each channel of fields; None without a context.

    >>> normaliser(Spec(names=("a",), shape=(1,))) is None
    True
    """
    shape = spec.context_shape
    return Standardize(shape, len(shape) - 1, present(spec.context_absent, shape)) if shape else None


@final
class Standardize(Transform):
    """z = (x - mean) / std, both fitted on the training data by `initialise`.

    Args:
        shape: Shape of one x.
        shared: Last dimensions that share a mean and std; 2 for one a channel of fields.
        present: Which places there are, bool (*shape); None for all. Elsewhere z is zero and x NaN.

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
    present: Tensor | None
    cells: Tensor

    def __init__(self, shape: tuple[int, ...], shared: int = 0, present: Tensor | None = None) -> None:
        super().__init__()
        own = len(shape) - shared
        units = (*shape[:own], *[1] * shared)
        self.shape = tuple(shape)
        self.shared = shared
        cells = (torch.ones(shape) if present is None else present.float()).sum_to_size(units)
        self.register_buffer("cells", cells, persistent=False)  # how many cells share each unit
        self.register_buffer("present", present, persistent=False)
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("std", torch.ones(units))

    def initialise(self, batch: Batch) -> None:
        mean, std = fit(batch.x, self.shared, self.present)
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = (x - self.mean) / self.std
        return z if self.present is None else torch.where(self.present, z, 0.0), self._ladj(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = z * self.std + self.mean
        return x if self.present is None else torch.where(self.present, x, torch.nan), self._ladj(z, 1)

    def _ladj(self, x: Tensor, sign: int) -> Tensor:
        ladj = sign * (self.cells * self.std.log()).sum()
        return ladj.expand(x.shape[: x.dim() - self.std.dim()])
