"""A drawn letter, coloured: points (x, y, r, g, b) whose law is known exactly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from flows.core import Density

FONT = "STIXGeneral.ttf"  # one that matplotlib brings, so that the letter is the same everywhere
FILL = 0.9  # of the picture's side, by the letter's longer one
LEVELS = 256


@final
class Glyph(Density):
    r"""Pixels of a shape, uniformly drawn, each coloured by a smooth gradient with Gaussian noise.

    p(x, y, r, g, b) = p(x, y) p(r|x, y) p(g|x, y) p(b|x, y), piecewise constant: of points spread over
    their cells, P(cell)/|cell|. A pixel has P = 1/#pixels. A channel's level is its mean at the pixel's
    centre plus noise, rounded and clipped: P(k) = Φ((k + ½ - μ)/σ) - Φ((k - ½ - μ)/σ), and the two
    end levels keep their tails. At (x, y) in the unit square the means are, in levels,

        r = 45 + 165 x,    g = 45 + 165 y,    b = 127.5 + 82.5 cos 2π(x - y).

    Whatever the precision of x, everything is computed in float64.

    Args:
        inside: The shape, bool (width, height): column from the left, row from the bottom.
        noise: σ, in levels of 256.

    Shapes: x (*batch, 5), with x and y in (0, 1) and colours in (0, 256/255); no context.
    Raises: ValueError if no pixel is inside.

    >>> truth = Glyph(draw("π", 30), noise=12.0)
    >>> truth.log_prob(truth.sample(7)).shape
    torch.Size([7])
    """

    def __init__(self, inside: Tensor, noise: float) -> None:
        super().__init__()
        if not inside.any():
            raise ValueError("a shape needs at least one pixel")
        self.noise = noise
        self.inside: Tensor
        self.pixels: Tensor
        self.cells: Tensor
        self.per_unit: Tensor
        self.register_buffer("inside", inside)
        self.register_buffer("pixels", inside.nonzero())
        self.register_buffer("cells", torch.tensor([*inside.shape, *[LEVELS] * 3]))
        self.register_buffer("per_unit", torch.tensor([*inside.shape, *[LEVELS - 1] * 3]))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        position, colour = x.split([2, 3], -1)
        return self.log_prob_position(position) + self.log_prob_colour(colour, position)

    def log_prob_position(self, position: Tensor) -> Tensor:
        """Log-density of (x, y) alone: (*batch,) for (*batch, 2); -inf off the shape."""
        pixel, in_picture = self._pixel(position)
        on = in_picture & self.inside[pixel[..., 0], pixel[..., 1]]
        return torch.where(on, 0.0, -math.inf).double() + math.log(self.inside.numel() / len(self.pixels))

    def log_prob_colour(self, colour: Tensor, position: Tensor) -> Tensor:
        """Log-density of (r, g, b) where (x, y) is known: (*batch,) for (*batch, 3) and (*batch, 2).

        The gradient covers the whole picture, so it is defined off the shape too. Outside the picture,
        and for colours out of range, it is -inf.
        """
        pixel, in_picture = self._pixel(position)
        level, in_range = _cell(colour, self.per_unit[2:], self.cells[2:])
        log_p = _log_level(level.double(), self._means(pixel), self.noise).sum(-1)
        return torch.where(in_picture & in_range, log_p + 3 * math.log(LEVELS - 1), -math.inf)

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        cell = self._draw(n, generator)
        u = torch.rand(cell.shape, generator=generator, dtype=cell.dtype, device=cell.device)
        return (cell + u) / self.per_unit

    @torch.no_grad()
    def lattice(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points (n, 5) as a picture has them: the lower corners of their cells."""
        return self._draw(n, generator) * (1 / self.per_unit.double())

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Column, row and levels of n points (n, 5), float64."""
        device = self.pixels.device
        pixel = self.pixels[torch.randint(len(self.pixels), (n,), generator=generator, device=device)]
        noise = torch.randn(n, 3, generator=generator, dtype=torch.float64, device=device)
        level = (self._means(pixel) + self.noise * noise).round().clamp(0, LEVELS - 1)
        return torch.cat([pixel.double(), level], -1)

    def _pixel(self, position: Tensor) -> tuple[Tensor, Tensor]:
        return _cell(position, self.per_unit[:2], self.cells[:2])

    def _means(self, pixel: Tensor) -> Tensor:
        """Mean levels (*batch, 3) at the centres of pixels (*batch, 2)."""
        x, y = ((pixel.double() + 0.5) / self.per_unit[:2]).unbind(-1)
        wave = torch.cos(2 * math.pi * (x - y))
        return torch.stack([45 + 165 * x, 45 + 165 * y, 127.5 + 82.5 * wave], -1)


def draw(letter: str, size: int) -> Tensor:
    """A letter in the middle of a square picture: the pixels whose centres it covers.

    Args:
        letter: What to draw.
        size: Side of the picture in pixels.

    Shapes: bool (size, size): column from the left, row from the bottom.

    >>> draw("π", 30).shape
    torch.Size([30, 30])
    """
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(fname=Path(get_data_path()) / "fonts" / "ttf" / FONT)
    outline = TextPath((0, 0), letter, size=100, prop=font)
    box = outline.get_extents()
    centres = (np.arange(size) + 0.5) / size - 0.5
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), -1).reshape(-1, 2)
    middle = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
    covered = outline.contains_points(middle + grid * max(box.width, box.height) / FILL)
    return torch.from_numpy(covered.reshape(size, size))


def _cell(x: Tensor, per_unit: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Which cell each feature lies in (*batch, D), and whether all lie in one (*batch,).

    What rounding has left just below a lattice point lies in the point's cell.
    """
    cell = torch.floor(x.double() * per_unit * (1 + 2 * torch.finfo(x.dtype).eps))
    within = (cell >= 0) & (cell < cells)
    return torch.where(within, cell, 0.0).long(), within.all(-1)


def _log_level(level: Tensor, mean: Tensor, noise: float) -> Tensor:
    """log P of levels (*batch, 3) under noise that is rounded and clipped: log(Φ(high) - Φ(low))."""
    low = torch.where(level == 0, -math.inf, (level - 0.5 - mean) / noise)
    high = torch.where(level == LEVELS - 1, math.inf, (level + 0.5 - mean) / noise)
    upper = low + high > 0  # there Φ(-low) - Φ(-high), the same, keeps its digits
    low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
    log_high = torch.special.log_ndtr(high)
    return log_high + torch.log(-torch.expm1(torch.special.log_ndtr(low) - log_high))
