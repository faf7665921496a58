"""Monotone rational-quadratic splines."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor

from flows.transforms.elementwise import ALL, Elementwise

LEAST = 1e-3  # least share of the interval of a bin, and least slope


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

    With ξ the place in the bin, s = height/width, d₀ and d₁ the slopes at its ends, u = (1-ξ)·d₀ + ξ·s and
    v = (1-ξ)·s + ξ·d₁: z = y + height·ξ·u / (ξ·u + (1-ξ)·v), dz/dx = s²·((1-ξ)·u + ξ·v) / (ξ·u + (1-ξ)·v)².

    Args:
        closed: Features that live in (0, 1), bool (D,): the slopes at the ends are free. The others' interval
            is ±reach, with slopes of 1 at its ends, so that the identity joins smoothly.
        bins: Pieces, two at least.
        reach: Half the interval of a feature that isn't closed.

    Raises: ValueError if there are fewer bins.
    References: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.

    >>> spline = Spline(torch.tensor([True, True, False]), bins=4)
    >>> z, log_slope = spline.forward(torch.rand(7, 3), torch.zeros(7, 3 * spline.params))
    >>> z.shape, log_slope.shape
    (torch.Size([7, 3]), torch.Size([7, 3]))
    """

    low: Tensor
    size: Tensor
    free: Tensor

    def __init__(self, closed: Tensor, bins: int = 8, reach: float = 5.0) -> None:
        super().__init__()
        if bins < 2:
            raise ValueError(f"a spline needs two bins or more, got {bins}")
        self.bins = bins
        self.params = 3 * bins + 1
        self.register_buffer("low", torch.where(closed, 0.0, -reach), persistent=False)
        self.register_buffer("size", torch.where(closed, 1.0, 2 * reach), persistent=False)
        inner = torch.arange(bins + 1) % bins > 0
        self.register_buffer("free", closed | inner.unsqueeze(-1), persistent=False)

    def forward(self, x: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        x, (low, size, free) = x.movedim(-1, 0).contiguous(), self._fixed(x.dim(), which)
        at = ((x - low) / size).clamp(0, 1)
        piece = self._find(at, theta, free, of_x=True)
        place = (at - piece.x) / piece.width
        rise, log_slope = _curve(piece, place)
        to = (piece.y + piece.height * rise).clamp(0, 1)  # rounding could carry it beyond
        return _within(at, low + size * to, log_slope, x)

    def inverse(self, z: Tensor, theta: Tensor, which: slice = ALL) -> tuple[Tensor, Tensor]:
        z, (low, size, free) = z.movedim(-1, 0).contiguous(), self._fixed(z.dim(), which)
        at = ((z - low) / size).clamp(0, 1)
        piece = self._find(at, theta, free, of_x=False)
        slope, above = piece.height / piece.width, at - piece.y
        bend = above * (piece.left + piece.right - 2 * slope)
        a = piece.height * (slope - piece.left) + bend
        b = piece.height * piece.left - bend
        c = -slope * above
        place = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
        _, log_slope = _curve(piece, place)
        to = (piece.x + piece.width * place).clamp(0, 1)
        return _within(at, low + size * to, -log_slope, z)

    def _fixed(self, dims: int, which: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Low ends and sizes (D, 1, ...), and which slopes are free (bins + 1, D, 1, ...)."""
        ones = (1,) * (dims - 1)
        low, size, free = self.low[which], self.size[which], self.free[:, which]
        return low.view(-1, *ones), size.view(-1, *ones), free.view(self.bins + 1, -1, *ones)

    def _find(self, at: Tensor, theta: Tensor, free: Tensor, of_x: bool) -> _Bin:
        """The piece that each point of the unit interval (D, ...) lies in.

        With features and pieces first, every operation runs along the examples.
        """
        theta = theta.movedim(-1, 0).contiguous().unflatten(0, (self.params, -1))  # (params, D, ...)
        raw, slopes = theta.split((2 * self.bins, self.bins + 1))
        shares = LEAST + (1 - LEAST * self.bins) * raw.unflatten(0, (2, self.bins)).softmax(1)
        inner = shares[:, :-1]
        passed = (at >= inner[0 if of_x else 1].detach().cumsum(0)).to(at.dtype)
        x, y = (passed * inner).sum(1)
        hot = torch.cat((1 - passed[:1], passed[:-1] - passed[1:], passed[-1:]))  # 1 where the point lies
        width, height = (hot * shares).sum(1)
        ends = slopes * free
        ends = torch.stack(((hot * ends[:-1]).sum(0), (hot * ends[1:]).sum(0)))
        left, right = F.softplus(ends + _UNIT) + LEAST
        return _Bin(x, y, width, height, left, right)


_UNIT = math.log(math.expm1(1 - LEAST))  # makes the slope 1 at zero: where nets start, and at ends not free


def _curve(piece: _Bin, place: Tensor) -> tuple[Tensor, Tensor]:
    """The share of its height that a piece has risen by at a place in it, and log |dz/dx| there."""
    slope = piece.height / piece.width
    u, v = torch.lerp(piece.left, slope, place), torch.lerp(slope, piece.right, place)
    below = torch.lerp(v, u, place)
    log_slope = ((slope / below).square() * torch.lerp(u, v, place)).log()
    return place * u / below, log_slope


def _within(at: Tensor, after: Tensor, log_slope: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Features last again; what wasn't in its interval, having been moved to an end, is as it was before."""
    inside = (at > 0) & (at < 1)
    return torch.where(inside, after, before).movedim(0, -1), (inside * log_slope).movedim(0, -1)
