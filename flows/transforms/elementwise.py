"""Scalar bijections whose parameters a net supplies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

ALL = slice(None)


class Elementwise(nn.Module, ABC):
    """A bijection of each feature alone; `params` numbers steer each.

    `which` says which of the features x or z holds, where it doesn't hold all.

    Shapes: x, z (..., D); theta (..., params * D), parameter by parameter; log-derivatives (..., D).
    """

    params: int

    @abstractmethod
    def forward(self, x: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, feature by feature."""

    @abstractmethod
    def inverse(self, z: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, feature by feature."""


@final
class Affine(Elementwise):
    r"""Scale and shift, z = x·exp(s) + t, with s = bound·tanh(θ₀) and t = θ₁.

    The bound keeps a single layer from stretching space without limit: far from the data both
    directions stay finite.

    Args:
        bound: Largest |s|, in nats.
        axis: Where the features lie; -3 for the channels of fields, x and z then being (..., D, H, W).

    >>> z, log_slope = Affine().forward(torch.zeros(7, 3), torch.zeros(7, 6))
    >>> z.shape, log_slope.shape
    (torch.Size([7, 3]), torch.Size([7, 3]))
    """

    params = 2

    def __init__(self, bound: float = 2.0, axis: int = -1) -> None:
        super().__init__()
        self.bound = bound
        self.axis = axis

    def forward(self, x: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._unpack(theta)
        return x * log_scale.exp() + shift, log_scale

    def inverse(self, z: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._unpack(theta)
        return (z - shift) * torch.exp(-log_scale), -log_scale

    def _unpack(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = theta.chunk(2, dim=self.axis)
        return raw.tanh() * self.bound, shift
