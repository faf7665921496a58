"""One calm look for every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#2b2f38"  # text; the report turns it to the colour of its page
MUTED = "#8b919c"  # ticks and frames, legible on light and on dark
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#8b919c")
"""Okabe and Ito's colours, apart for every kind of colour vision; the last two darkened to show on white."""
REAL, GENERATED = PALETTE[:2]

TEXT = 10.0
COLUMNS = 3  # of channels, where each has a panel of its own
WIDTH = 6.4  # inches: two beside each other on a laptop, one on a phone


def panels(
    rows: int, columns: int, height: float, places: Sequence[int] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of rows × columns axes, or of some `places` of them, row by row, each row `height` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained", dpi=110)
    places = range(rows * columns) if places is None else places
    axes = [figure.add_subplot(rows, columns, place + 1) for place in places]
    for each in axes:
        each.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 1.5, length=3, width=0.8)
        for side, spine in each.spines.items():
            spine.set(color=MUTED, linewidth=0.8)
            spine.set_visible(side in ("left", "bottom"))
        each.set_axisbelow(True)
        each.patch.set_alpha(0)
    return figure, axes


def pair(limits: Sequence[tuple[float, float]], aspect: float = 1.0) -> tuple[Figure, list[Axes]]:
    """Two panels beside each other in equal axes, a unit of y as long as `aspect` units of x."""
    (left, right), (bottom, top) = limits
    figure, axes = panels(1, 2, min(4.5, max(2.0, 2.7 * aspect * (top - bottom) / (right - left) + 0.65)))
    for each in axes:
        plane(each, limits, aspect)
    return figure, axes


def label(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Title and axis labels, as they are: names may hold a `$`, which is no formula."""
    axes.set_title(title, color=INK, fontsize=TEXT, loc="left", parse_math=False)
    axes.set_xlabel(x, color=INK, fontsize=TEXT - 0.5, parse_math=False)
    axes.set_ylabel(y, color=INK, fontsize=TEXT - 0.5, parse_math=False)


def legend(axes: Axes) -> None:
    """A legend without a box, its texts as they are."""
    for text in axes.legend(frameon=False, fontsize=TEXT - 1.5, labelcolor=INK).get_texts():
        text.set_parse_math(False)


def cut(name: str, letters: int) -> str:
    """A name, or as much of it as there is room for.

    >>> cut("temperature", 6)
    'tempe…'
    """
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def key(figure: Figure, note: str = "") -> None:
    """Above all panels, which colour is real and which is generated, and a note beside it."""
    from matplotlib.patches import Patch

    marks = [
        Patch(facecolor=f"{REAL}40", edgecolor=REAL, linewidth=1.4, label="real"),
        Patch(facecolor="none", edgecolor=GENERATED, linewidth=1.6, label="generated"),
    ]
    if note:
        marks.append(Patch(visible=False, label=note))
    figure.legend(
        handles=marks,
        loc="outside upper left",
        ncols=len(marks),
        frameon=False,
        fontsize=TEXT - 1,
        labelcolor=INK,
        borderaxespad=0.2,
        handlelength=1.4,
        handleheight=0.8,
    )


def histograms(axes: Axes, edges: Sequence[float], real: Tensor, generated: Tensor) -> None:
    """Real (N,) filled and generated (M,) as a line; the area is the share of points within."""
    for points, colour, fill in ((real, REAL, True), (generated, GENERATED, False)):
        ends = torch.tensor(edges, dtype=torch.float64)
        inside = points[(points >= edges[0]) & (points <= edges[-1])].double()
        heights = torch.histogram(inside, ends).hist / ends.diff() / len(points)
        if fill:
            axes.stairs(heights.tolist(), edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(heights.tolist(), edges, color=colour, linewidth=1.5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)


def scatter(axes: Axes, x: Tensor, colour: Any, size: float = 4, opacity: float = 0.6) -> None:
    """Points (N, 2), small enough that many together read as a density."""
    axes.scatter(*x.T.tolist(), s=size, c=colour, alpha=opacity, linewidths=0, rasterized=True)


def class_colours(classes: Tensor | None) -> str | list[str]:
    """A colour for each point by its class, or one for all."""
    return PALETTE[0] if classes is None else [PALETTE[k % len(PALETTE)] for k in classes.tolist()]


def window(*clouds: Tensor) -> list[tuple[float, float]]:
    """For each column of points (N, D), the range that shows all but stray ones, with a margin.

    Points that aren't finite are left out; without any others it is ±1.
    """
    low, high = [], []
    for cloud in clouds:
        cloud = cloud[cloud.isfinite().all(1)]
        if not len(cloud):
            cloud = cloud.new_tensor([[-1.0], [1.0]]).expand(2, cloud.shape[1])
        ends = cloud.quantile(torch.tensor([0.002, 0.998], dtype=cloud.dtype), dim=0)
        low.append(ends[0])
        high.append(ends[1])
    below, above = torch.stack(low).amin(0), torch.stack(high).amax(0)
    margin = torch.where(above > below, 0.08 * (above - below), 0.5)
    return list(zip((below - margin).tolist(), (above + margin).tolist(), strict=True))


def plane(axes: Axes, limits: Sequence[tuple[float, float]], aspect: float = 1.0) -> None:
    """Over these limits, a unit of y as long as `aspect` units of x."""
    axes.set_aspect(aspect, adjustable="box")
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
