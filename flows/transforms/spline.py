"""Monotone rational-quadratic splines."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor

from flows.transforms.elementwise import ALL, Elementwise

LEAST = 1e-3  # of a bin's share of the interval, and of a slope


class _Bin(NamedTuple):
    """The piece of the spline that a point lies in: its corner, its size, the slopes at its ends."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    left: Tensor
    right: Tensor


@final
class Spline(Elementwise):
    r"""A monotone rational-quadratic spline through `bins` pieces; beyond its interval the identity.

    With ξ the place in the bin, s = height/width, d₀ and d₁ the slopes at its ends:
    z = y + height·(s·ξ² + d₀·ξ(1-ξ)) / (s + (d₀ + d₁ - 2s)·ξ(1-ξ)).

    Args:
        closed: Features that live in (0, 1), bool (D,): the slopes at the ends are free. The others' interval
            is ±reach, with slopes of 1 at its ends, so that the identity joins smoothly.
        bins: Pieces.
        reach: Half the interval of a feature that isn't closed.

    References: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.

    >>> spline = Spline(torch.tensor([True, True, False]), bins=4)
    >>> z, log_slope = spline.forward(torch.rand(7, 3), torch.zeros(7, 3 * spline.params))
    >>> z.shape, log_slope.shape
    (torch.Size([7, 3]), torch.Size([7, 3]))
    """

    low: Tensor
    high: Tensor
    free: Tensor

    def __init__(self, closed: Tensor, bins: int = 8, reach: float = 5.0) -> None:
        super().__init__()
        self.bins = bins
        self.params = 3 * bins + 1
        self.register_buffer("low", torch.where(closed, 0.0, -reach), persistent=False)
        self.register_buffer("high", torch.where(closed, 1.0, reach), persistent=False)
        inner = torch.arange(bins + 1) % bins > 0
        self.register_buffer("free", closed.unsqueeze(-1) | inner, persistent=False)

    def forward(self, x: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        piece, inside, at = self._find(x, theta, which, of_x=True)
        place = (at - piece.x) / piece.width
        slope, both = piece.height / piece.width, place * (1 - place)
        below = slope + (piece.left + piece.right - 2 * slope) * both
        z = piece.y + piece.height * (slope * place.square() + piece.left * both) / below
        return torch.where(inside, z, x), torch.where(inside, _log_slope(piece, place, slope, below), 0.0)

    def inverse(self, z: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        piece, inside, at = self._find(z, theta, which, of_x=False)
        slope, above = piece.height / piece.width, at - piece.y
        bend = above * (piece.left + piece.right - 2 * slope)
        a = piece.height * (slope - piece.left) + bend
        b = piece.height * piece.left - bend
        c = -slope * above
        place = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
        below = slope + (piece.left + piece.right - 2 * slope) * place * (1 - place)
        x = piece.x + place * piece.width
        return torch.where(inside, x, z), torch.where(inside, -_log_slope(piece, place, slope, below), 0.0)

    def _find(self, value: Tensor, theta: Tensor, which: slice, of_x: bool) -> tuple[_Bin, Tensor, Tensor]:
        """The bin of each value, whether it is in the interval at all, and the value moved there if not."""
        theta = theta.unflatten(-1, (self.params, -1)).movedim(-2, -1)  # (..., D, params)
        widths, heights, slopes = theta.split((self.bins, self.bins, self.bins + 1), dim=-1)
        low, high = self.low[which], self.high[which]
        x, y = (_knots(raw, low, high - low) for raw in (widths, heights))
        slopes = torch.where(self.free[which], F.softplus(slopes + _UNIT) + LEAST, 1.0)
        inside = (value > low) & (value < high)
        at = torch.where(inside, value, (low + high) / 2)
        knots = x if of_x else y
        place = (at.unsqueeze(-1) >= knots[..., 1:-1]).sum(-1, keepdim=True)
        ends = torch.cat((place, place + 1), -1)
        (x0, x1), (y0, y1), (left, right) = (t.gather(-1, ends).unbind(-1) for t in (x, y, slopes))
        return _Bin(x0, y0, x1 - x0, y1 - y0, left, right), inside, at


_UNIT = math.log(math.expm1(1 - LEAST))  # a net that starts at zero starts at slopes of 1


def _knots(raw: Tensor, low: Tensor, size: Tensor) -> Tensor:
    """Ends of the pieces (..., D, bins + 1), from low to low + size."""
    bins = raw.shape[-1]
    share = LEAST + (1 - LEAST * bins) * raw.softmax(-1)
    inner = share[..., :-1].cumsum(-1)
    unit = torch.cat((torch.zeros_like(inner[..., :1]), inner, torch.ones_like(inner[..., :1])), -1)
    return low.unsqueeze(-1) + size.unsqueeze(-1) * unit


def _log_slope(piece: _Bin, place: Tensor, slope: Tensor, below: Tensor) -> Tensor:
    """log |dz/dx| at a place in its piece."""
    rest = 1 - place
    above = piece.right * place.square() + 2 * slope * place * rest + piece.left * rest.square()
    return 2 * slope.log() + above.log() - 2 * below.log()
