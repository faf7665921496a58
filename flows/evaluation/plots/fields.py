"""Fields: what is given, what came true, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from flows.evaluation.frame import Frame
from flows.evaluation.plots.images import dress, ends_of, image, mark
from flows.evaluation.plots.style import WIDTH, cut, label, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMBERS = 4  # shown
PANEL, BARS = 1.25, 1.3  # inches


def field_panels(seen: Tensor | None, x: Tensor, members: Tensor, around: Frame, channel: int = 0) -> Figure:
    """A case a row: its context, what came true, the members' mean and spread, and some members.

    All but the spread share one scale of colour.

    Shapes: seen (N, H, W) or None; x (N, C, H, W); members (N, M, C, H, W), M four or more.

    Args:
        seen: What the context says of the channel.
        x: Held-out fields.
        members: Draws under their contexts.
        around: Names and units of the channels, coordinates of the cells.
        channel: Which one is shown.
    """
    shown = {} if seen is None else {"context": seen}
    drawn = members[:, :, channel]
    shown |= {"truth": x[:, channel], "mean": drawn.mean(1), "spread": drawn.std(1)}
    shown |= {f"sample {k + 1}": drawn[:, k] for k in range(MEMBERS)}
    height = PANEL * x.shape[-2] / x.shape[-1] + 0.08
    figure, axes = panels(len(x), len(shown), height)
    figure.set_size_inches(len(shown) * PANEL + BARS, len(x) * height + 0.3)
    scale = ends_of(x[:, channel])
    widest = float(shown["spread"].nan_to_num().max())
    images = {}
    for place, each in enumerate(axes):
        title = [*shown][place % len(shown)]
        field = shown[title][place // len(shown)]
        ends = (0.0, widest) if title == "spread" else scale
        colours = "magma" if title == "spread" else "viridis"
        images[title] = image(each, field, ends, colours)
        label(each, title if place < len(shown) else "")
        last = place // len(shown) == len(x) - 1
        mark(each, around, left=place % len(shown) == 0 and last, bottom=place % len(shown) == 0 and last)
    name = around.channels[channel]
    for title in ("truth", "spread"):
        bar = figure.colorbar(images[title], ax=axes, shrink=0.8, pad=0.01, fraction=0.03)
        dress(bar, name if title == "truth" else f"spread of {name}")
    return figure


def context_panels(context: Tensor, names: Sequence[str]) -> Figure:
    """What else is given in each case: a case a row, a channel a column, each channel by a scale of its own.

    Shapes: context (N, K, H, W).
    """
    height = PANEL * context.shape[-2] / context.shape[-1] + 0.08
    figure, axes = panels(len(context), len(names), height)
    figure.set_layout_engine("compressed")
    figure.set_size_inches(max(WIDTH, len(names) * PANEL + 0.3), len(context) * height + 0.9)
    for channel, name in enumerate(names):
        column = axes[channel :: len(names)]
        ends = ends_of(context[:, channel])
        images = [image(each, field, ends) for each, field in zip(column, context[:, channel], strict=True)]
        label(column[0], cut(name, 14))
        dress(figure.colorbar(images[0], ax=column, location="bottom", pad=0.02, aspect=12))
    return figure
