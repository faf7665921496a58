"""Fields as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.frame import Frame
from flows.evaluation.plots.features import short
from flows.evaluation.plots.style import INK, MUTED, TEXT, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.image import AxesImage

SORTED = 2**22  # most cells of which quantiles are taken, evenly spread


def ends_of(fields: Tensor) -> tuple[float, float]:
    """The range that shows all but stray cells, and leaves absent ones (NaN) blank."""
    ends = torch.tensor([0.005, 0.995], dtype=torch.float64)
    cells = fields.flatten()
    cells = cells[:: 1 + len(cells) // SORTED].double()
    low, high = cells.nanquantile(ends).nan_to_num().tolist()
    return low, high if high > low else low + 1.0


def image(axes: Axes, field: Tensor, ends: tuple[float, float], colours: str = "viridis") -> AxesImage:
    """A field (H, W), its first row at the bottom, without ticks; `mark` gives it some."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(field.numpy(), origin="lower", vmin=ends[0], vmax=ends[1], cmap=colours)


def mark(axes: Axes, around: Frame, left: bool, bottom: bool) -> None:
    """Beside an image, the coordinates of its first and last cells, where they are known.

    Args:
        axes: The image's.
        around: What is known.
        left: Whether rows are marked.
        bottom: Whether columns are.
    """
    shown = ((axes.yaxis, around.rows, left), (axes.xaxis, around.columns, bottom))
    height, width = axes.get_images()[0].get_size()
    for (axis, side, wanted), cells in zip(shown, (height, width), strict=True):
        if side is not None and wanted:
            axis.set_ticks([0, cells - 1], [short(end) for end in (side.first, side.last)])
            axis.set_tick_params(labelsize=TEXT - 3, labelcolor=INK, color=MUTED)
            axis.set_label_text(cut(side.name, 28), color=INK, fontsize=TEXT - 2.5, parse_math=False)


def dress(bar: Colorbar, name: str = "") -> None:
    """A colour bar without a frame, in the figures' own type."""
    bar.set_label(cut(name, 20), color=INK, fontsize=TEXT - 1.5, parse_math=False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 2)
    bar.outline.set_visible(False)
