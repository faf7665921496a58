"""Take a field apart into blocks of four cells, and put it together again."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@final
class Squeeze(nn.Module):
    """2 × 2 cells become 4 channels of one. Cells are only moved, so this has no ladj.

    Channels are those of the upper left cells, upper right, lower left, lower right. Of an odd side the last
    block lacks cells. Those are absent: `down` puts zeros there, `up` leaves them out, and what acts in
    between has to leave them alone.

    Args:
        channels: C.
        size: Height and width (H, W).
        there: Which cells exist in the data, bool (C, H, W); None for all. x is zero in others.

    Shapes: x (..., C, H, W); z (..., 4C, ⌈H/2⌉, ⌈W/2⌉).
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.

    >>> squeeze = Squeeze(1, (5, 6))
    >>> z = squeeze.down(torch.zeros(7, 1, 5, 6))
    >>> z.shape, squeeze.up(z).shape
    (torch.Size([7, 4, 3, 3]), torch.Size([7, 1, 5, 6]))
    """

    there: Tensor

    def __init__(self, channels: int, size: tuple[int, int], there: Tensor | None = None) -> None:
        super().__init__()
        there = torch.ones(channels, *size, dtype=torch.bool) if there is None else there
        self.register_buffer("there", there, persistent=False)
        self.channels = channels
        self.full = size
        self.size = ((size[0] + 1) // 2, (size[1] + 1) // 2)

    def down(self, x: Tensor) -> Tensor:
        """The blocks of x, zero, or False, where absent."""
        (height, width), (h, w) = self.full, self.size
        x = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        blocks = x.unflatten(-1, (w, 2)).unflatten(-3, (h, 2))
        return blocks.movedim((-3, -1), (-5, -4)).flatten(-5, -3)

    def up(self, z: Tensor) -> Tensor:
        """What `down` took apart."""
        blocks = z.unflatten(-3, (2, 2, self.channels)).movedim((-5, -4), (-3, -1))
        return blocks.flatten(-2).flatten(-3, -2)[..., : self.full[0], : self.full[1]]

    def present(self) -> Tensor:
        """Which cells exist, bool (4C, ⌈H/2⌉, ⌈W/2⌉)."""
        return self.down(self.there)
