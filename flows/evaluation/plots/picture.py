"""Points that are pixels: seen in their own colours, and put together to a picture again."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from flows.core import Spec
from flows.evaluation.plots.features import steps, within
from flows.evaluation.plots.style import label, pair, plane, scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 150  # most pixels a side: more would need more draws than one waits for
REAL, DRAWN = 0.7, 1.5  # points a pixel: at random, every second pixel is then filled, and four of five

Pair = tuple[float, float]


def is_picture(spec: Spec) -> bool:
    """Whether points are places x, y with a colour r, g, b.

    >>> is_picture(Spec(names=("x", "y", "r", "g", "b"), shape=(5,)))
    True
    """
    return len(spec.shape) == 1 and spec.names[:2] == ("x", "y") and spec.names[-3:] == ("r", "g", "b")


def coloured_panels(real: Tensor, generated: Tensor, spec: Spec) -> Figure:
    """Each point at its place, in its own colour; both clouds in the same axes.

    Shapes: real, generated (N, D), on the lattice where there is one.

    Args:
        real: Held-out points.
        generated: Draws of the model.
        spec: One for which `is_picture` is true.
    """
    limits, aspect = _frame(real, spec)
    figure, axes = pair(limits, aspect)
    for each, points, title in zip(axes, (real, generated), ("real", "generated"), strict=True):
        kept = points[points.isfinite().all(1)]
        size = min(20.0, max(5.0, 10_000 / len(real)))
        scatter(each, kept[:, :2] + _centre(spec), colours(kept, spec).tolist(), size, opacity=1)
        label(each, title, "x", "y" if each is axes[0] else "")
    return figure


def redrawn_panels(real: Tensor, generated: Tensor, spec: Spec) -> Figure:
    """The picture in its own pixels, or in larger ones of which the draws fill most.

    A pixel has the mean colour of its points; one without any stays empty.

    Shapes: real (N, D), generated (M, D), on the lattice where there is one.

    Args:
        real: Points of the data, as many as there are up to M.
        generated: Draws of the model: M settles how fine the picture is.
        spec: One for which `is_picture` is true.
    """
    limits, aspect = _frame(real, spec)
    canvas = _canvas(limits, spec, real, len(generated))
    extent = (*canvas.ends(0), *canvas.ends(1))
    figure, axes = pair(limits, aspect)
    titles = (f"real, {len(real):,} points", f"generated, {len(generated):,} draws")
    for each, points, title in zip(axes, (real, generated), titles, strict=True):
        raster = _raster(points, spec, canvas).numpy()
        each.imshow(raster, origin="lower", extent=extent, interpolation="none", aspect="auto")
        plane(each, limits, aspect)  # again, for an image takes its own extent
        label(each, title, "x", "y" if each is axes[0] else "")
    return figure


def colours(x: Tensor, spec: Spec) -> Tensor:
    """Red, green, blue (N, 3) of points (N, D): 0 and 1 are the least and greatest value of the support.

    Where that isn't known, those of an 8-bit lattice, or 0 and 1.
    """
    columns = []
    for place in (-3, -2, -1):
        step = steps(spec)[place]
        low, high = spec.ends(len(spec.names) + place)
        if not math.isfinite(high - low):
            low, high = 0.0, 256 * step or 1.0
        columns.append((x[:, place] - low) / (high - step - low))
    return torch.stack(columns, 1).clamp(0, 1)


class _Canvas(NamedTuple):
    """A raster: its corner and its pixels' sides in data units, and how many each way."""

    low: Pair
    pixel: Pair
    size: tuple[int, int]

    def ends(self, place: int) -> Pair:
        return self.low[place], self.low[place] + self.size[place] * self.pixel[place]


def _canvas(limits: list[Pair], spec: Spec, real: Tensor, draws: int) -> _Canvas:
    """The finest that both kinds of points fill; a pixel is a block of the lattice's, where it has one."""
    widest = max(high - low for low, high in limits)
    own = [step or widest / SIDE for step in steps(spec)[:2]]
    most = max(1.0, min(len(real) / REAL, draws / DRAWN))
    canvases = (_in_blocks(limits, (own[0] * block, own[1] * block)) for block in itertools.count(1))
    return next(c for c in canvases if max(c.size) <= SIDE and _area(real, spec, c) <= most)


def _in_blocks(limits: list[Pair], pixel: Pair) -> _Canvas:
    """As many pixels of this size as reach over the limits."""
    columns, rows = (
        math.ceil((high - low) / side - 0.01) for (low, high), side in zip(limits, pixel, strict=True)
    )
    return _Canvas((limits[0][0], limits[1][0]), pixel, (columns, rows))


def _area(real: Tensor, spec: Spec, canvas: _Canvas, coarse: int = 4) -> int:
    """About how many pixels the picture covers: those of each coarse block that holds a point."""
    columns, rows = (-(-count // coarse) for count in canvas.size)
    blocks = canvas._replace(pixel=(canvas.pixel[0] * coarse, canvas.pixel[1] * coarse), size=(columns, rows))
    held = _raster(real, spec, blocks)[..., 3].sum()
    return min(math.prod(canvas.size), int(held) * coarse**2)


def _raster(x: Tensor, spec: Spec, canvas: _Canvas) -> Tensor:
    """Red, green, blue and opacity (rows, columns, 4), the lowest row first."""
    columns, rows = canvas.size
    x = x[x.isfinite().all(1)]
    low, pixel = torch.tensor((canvas.low, canvas.pixel), dtype=torch.float64)
    column, row = ((x[:, :2] + _centre(spec) - low) / pixel).floor().long().T
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    flat = (row * columns + column)[inside]
    sums = torch.zeros(rows * columns, 4, dtype=torch.float64)
    sums.index_add_(0, flat, torch.nn.functional.pad(colours(x[inside], spec).double(), (0, 1), value=1.0))
    count = sums[:, 3:]
    return torch.cat((sums[:, :3] / count.clamp(min=1), count.clamp(max=1)), 1).reshape(rows, columns, 4)


def _frame(real: Tensor, spec: Spec) -> tuple[list[Pair], float]:
    """Where the points are, and the aspect: lattice cells are square, as a picture's pixels are."""
    limits = []
    for place in (0, 1):
        low, high = real[:, place].min().item(), real[:, place].max().item()
        margin = 0.05 * (high - low) or 0.5
        limits.append(within(spec, place, low - margin, high + margin + steps(spec)[place]))
    wide, high = steps(spec)[:2]
    return limits, wide / high if wide and high else 1.0


def _centre(spec: Spec) -> Tensor:
    """From a lattice point to the middle of its cell (2,)."""
    return torch.tensor(steps(spec)[:2], dtype=torch.float64) / 2
