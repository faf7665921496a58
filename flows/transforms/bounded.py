"""Features that live between two ends: onto the unit interval, and from there to the reals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self, final

import torch
from torch import Tensor

from flows.core import Batch, Spec, Transform
from flows.heads import interior
from flows.transforms.halfline import Halfline, one_sided
from flows.transforms.standardize import Standardize, fit


def bounded(spec: Spec) -> Tensor:
    """Which features have a support of two ends, bool (D,).

    >>> bounded(Spec(names=("a", "b", "c"), shape=(3,), support=((0.0, 1.0), None, (0.0, None))))
    tensor([ True, False, False])
    """
    return torch.tensor([all(map(math.isfinite, spec.ends(k))) for k in range(spec.shape[0])])


def to_reals(spec: Spec) -> list[Transform]:
    """What carries data to the reals, standardised; bounded features go by their logit."""
    if spec.support is None:
        return [Standardize(spec.shape)]
    return [Rescale(spec), Logit(bounded(spec)), Standardize(spec.shape)]


@final
class Rescale(Transform):
    """Bounded features onto (0, 1), the others to zero mean and unit variance, fitted by `initialise`.

    Of features that have one end the logarithm of the distance from it is standardised, as `Halfline` says.

    Beyond the support the density is zero: ladj is -inf there. A point on an end, where rounding can put
    one that was drawn inside, counts as just within; ends are rounded as points are, in any precision.

    Args:
        spec: Names the ends.

    Shapes: x, z (..., D); ladj (...).
    Raises: UserError from `initialise` if a feature that isn't bounded is constant or not finite.

    >>> z, ladj = Rescale(Spec(names=("a", "b"), shape=(2,), support=((0.0, 5.0), None)))(torch.ones(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    bounded: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        closed = bounded(spec)
        self.ends = [spec.ends(k) if closed[k] else (0.0, 1.0) for k in range(spec.shape[0])]
        self.halfline = Halfline(spec) if one_sided(spec) else None
        self.register_buffer("bounded", closed, persistent=False)
        self.register_buffer("shift", torch.zeros(spec.shape))
        self.register_buffer("scale", torch.ones(spec.shape))
        self._place()

    def initialise(self, batch: Batch) -> None:
        free, x = ~self.bounded, batch.x
        if self.halfline is not None:
            self.halfline.initialise(batch)
            x, _ = self.halfline(x)
        if bool(free.any()):
            self.shift[free], self.scale[free] = (t.to(self.shift) for t in fit(x[:, free]))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.each(x)
        return z, log_slope.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, ladj = z * self.scale + self.shift, self.scale.log().sum().expand(z.shape[:-1])
        if self.halfline is None:
            return x, ladj
        x, stretch = self.halfline.inverse(x)
        return x, ladj + stretch

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._place()  # after .double(), say, the ends would still be those of single precision
        return self

    def _place(self) -> None:
        """Set bounded features' shift and scale by their ends, in the current precision."""
        low, high = self.shift.new_tensor(self.ends).unbind(-1)
        self.shift = torch.where(self.bounded, low, self.shift)
        self.scale = torch.where(self.bounded, high - low, self.scale)

    def each(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z, and log |dz/dx| feature by feature: (..., D) both."""
        log_slope = -self.scale.log()
        if self.halfline is not None:
            x, stretch = self.halfline.each(x)
            log_slope = log_slope + stretch
        z = (x - self.shift) / self.scale
        beyond = self.bounded & ((z < 0) | (z > 1))
        z = torch.where(self.bounded, z.clamp(*interior(z)), z)
        return z, torch.where(beyond, -torch.inf, log_slope)


@final
class Logit(Transform):
    """z = log(x / (1 - x)) of the marked features, from (0, 1) to the reals; the others pass.

    Args:
        mask: The features, bool (D,).

    Shapes: x, z (..., D); ladj (...).
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.

    >>> z, ladj = Logit(torch.tensor([True, False]))(torch.full((7, 2), 0.3))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = torch.where(self.mask, x, 0.5).logit()
        return torch.where(self.mask, z, x), -self._log_slope(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = z.sigmoid().clamp(*interior(z))  # far out it would round onto the end
        return torch.where(self.mask, x, z), self._log_slope(z)

    def _log_slope(self, z: Tensor) -> Tensor:
        """log |dx/dz| = log σ(z) + log σ(-z)."""
        log_slope = torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)
        return torch.where(self.mask, log_slope, 0.0).sum(-1)


@final
class Probit(Transform):
    """z = Φ⁻¹(x) of the marked features, from (0, 1) to the reals; the others pass.

    What is uniform becomes standard Gaussian, so that a flow between boxes ends in the usual latent.

    Args:
        mask: The features, bool (D,).

    Shapes: x, z (..., D); ladj (...).
    References: Chen and Gopinath 2000, Gaussianization, Advances in Neural Information Processing Systems 13.

    >>> z, ladj = Probit(torch.tensor([True, False]))(torch.full((7, 2), 0.3))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = torch.special.ndtri(torch.where(self.mask, x, 0.5).clamp(*interior(x)))
        return torch.where(self.mask, z, x), -self._log_slope(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = torch.special.ndtr(z).clamp(*interior(z))
        return torch.where(self.mask, x, z), self._log_slope(z)

    def _log_slope(self, z: Tensor) -> Tensor:
        """log |dx/dz| = log φ(z)."""
        log_slope = -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
        return torch.where(self.mask, log_slope, 0.0).sum(-1)
