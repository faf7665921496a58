"""Fields as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

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
    """A field (H, W), its first row at the bottom, without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(field.numpy(), origin="lower", vmin=ends[0], vmax=ends[1], cmap=colours)


def dress(bar: Colorbar, name: str = "") -> None:
    """A colour bar without a frame, in the figures' own type."""
    bar.set_label(cut(name, 20), color=INK, fontsize=TEXT - 1.5, parse_math=False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 2)
    bar.outline.set_visible(False)
