"""Where a model's forecasts are good, and where they aren't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.frame import Frame
from flows.evaluation.plots.images import dress, ends_of, image, mark
from flows.evaluation.plots.style import COLUMNS, WIDTH, cut, label, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def crps_panels(found: Tensor, exact: Tensor | None, around: Frame) -> Figure:
    """CRPS of each cell, a channel a panel; beside it the exact law's by the same colours, and what is lost.

    Shapes: found, exact (C, H, W), means over cases in data units; exact may be None.

    Args:
        found: The model's.
        exact: The law's.
        around: Names and units of the channels, coordinates of the cells.
    """
    shown: list[tuple[str, Tensor, tuple[float, float], str, str | None]] = []
    for channel, name in enumerate(around.channels):
        model, bar = found[channel], f"CRPS of {name}"
        if exact is None:
            shown.append((cut(name, 16), model, ends_of(model), "viridis", bar))
            continue
        law = exact[channel]
        ends, lost = ends_of(torch.stack((model, law))), model - law
        reach = max(map(abs, ends_of(lost)))
        shown.append((f"{cut(name, 12)}: model", model, ends, "viridis", None))
        shown.append(("exact law", law, ends, "viridis", bar))
        shown.append(("model less law", lost, (-reach, reach), "RdBu_r", "more CRPS"))
    columns = min(COLUMNS, len(shown))
    height = WIDTH / columns * 0.8 * found.shape[-2] / found.shape[-1] + 0.3
    figure, axes = panels(-(-len(shown) // columns), columns, height, range(len(shown)))
    for place, (each, (title, field, ends, colours, bar)) in enumerate(zip(axes, shown, strict=True)):
        drawn = image(each, field, ends, colours)
        label(each, title)
        mark(each, around, left=place % columns == 0, bottom=place + columns >= len(shown))
        if bar is not None:
            dress(figure.colorbar(drawn, ax=each, pad=0.02, fraction=0.05), bar)
    return figure
