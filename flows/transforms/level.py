"""Fields at one resolution after another."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from flows.core import Transform, unfitted
from flows.transforms.squeeze import Squeeze


@final
class Level(Transform):
    """Squeeze, transform, hand the first C channels on to a coarser level, put together again.

    The first C channels exist in every block, so what the coarser level sees is a whole field, but for cells
    that the data itself lacks.

    Args:
        squeeze: Of fields (C, H, W).
        transform: Of (4C, ⌈H/2⌉, ⌈W/2⌉); it leaves absent cells alone.
        coarser: Of (C, ⌈H/2⌉, ⌈W/2⌉), or None.

    Shapes: x, z (..., C, H, W); context (..., F, ⌈H/2⌉, ⌈W/2⌉), or whatever the transforms take; ladj (...).
    Raises: ValueError if a transform is fitted to data.
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.

    >>> from flows.transforms import Mixing, haar
    >>> z, ladj = Level(Squeeze(1, (4, 6)), Mixing(haar(1), torch.ones(2, 3).bool()))(torch.zeros(7, 1, 4, 6))
    >>> z.shape, ladj.shape
    (torch.Size([7, 1, 4, 6]), torch.Size([7]))
    """

    def __init__(self, squeeze: Squeeze, transform: Transform, coarser: Transform | None = None) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.transform = unfitted(transform)
        self.coarser = None if coarser is None else unfitted(coarser)
        self.sizes = (squeeze.channels, 3 * squeeze.channels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, total = self.transform(self.squeeze.down(x), context)
        if self.coarser is not None:
            coarse, rest = z.split(self.sizes, -3)
            coarse, ladj = self.coarser(coarse, context)
            z, total = torch.cat((coarse, rest), -3), total + ladj
        return self.squeeze.up(z), total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.squeeze.down(z)
        if self.coarser is None:
            x, total = self.transform.inverse(z, context)
            return self.squeeze.up(x), total
        coarse, rest = z.split(self.sizes, -3)
        coarse, ladj = self.coarser.inverse(coarse, context)
        x, total = self.transform.inverse(torch.cat((coarse, rest), -3), context)
        return self.squeeze.up(x), total + ladj
