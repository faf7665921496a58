"""Bijections of the plane with a known volume: bent Gaussians keep an exact density."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from flows.core import Transform


@final
class Twist(Transform):
    """Turn each point about the origin, further out by more: an angle of the radius alone keeps areas.

    Args:
        angle: Turn at the origin, in radians.
        rate: Turn added for each unit of radius, in radians.

    Shapes: x, z (..., 2); ladj (...), zero.

    >>> z, ladj = Twist(0.0, 1.0)(torch.zeros(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    def __init__(self, angle: float, rate: float) -> None:
        super().__init__()
        self.angle = angle
        self.rate = rate

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._turn(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._turn(z, 1)

    def _turn(self, x: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        radius = torch.linalg.vector_norm(x, dim=-1)
        angle = sign * (self.angle + self.rate * radius)
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack([cos * x[..., 0] - sin * x[..., 1], sin * x[..., 0] + cos * x[..., 1]], -1)
        return turned, torch.zeros_like(radius)


@final
class Bend(Transform):
    """Lower y by a parabola in x, which keeps areas: z = (x, y - bend·(x² - middle²)).

    Args:
        bend: Steepness of the parabola.
        middle: Where along x nothing moves.

    Shapes: x, z (..., 2); ladj (...), zero.

    >>> z, ladj = Bend(0.25, 2.0)(torch.zeros(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    def __init__(self, bend: float, middle: float) -> None:
        super().__init__()
        self.bend = bend
        self.middle = middle

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first, second = x.unbind(-1)
        return torch.stack([first, second - self._parabola(first)], -1), torch.zeros_like(first)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first, second = z.unbind(-1)
        return torch.stack([first, second + self._parabola(first)], -1), torch.zeros_like(first)

    def _parabola(self, first: Tensor) -> Tensor:
        return self.bend * (first**2 - self.middle**2)


@final
class Widen(Transform):
    """Divide x by exp(y/2), so that a Gaussian behind it widens upwards: z = (x·exp(-y/2), y).

    Shapes: x, z (..., 2); ladj (...).

    >>> z, ladj = Widen()(torch.zeros(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._scale(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._scale(z, 1)

    def _scale(self, x: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        across, up = x.unbind(-1)
        ladj = sign * up / 2
        return torch.stack([across * ladj.exp(), up], -1), ladj
