"""Fields: what is given, what came true, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.metrics.ensemble import spectrum
from flows.evaluation.plots.style import (
    GENERATED,
    INK,
    MUTED,
    REAL,
    TEXT,
    WIDTH,
    cut,
    label,
    legend,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

MEMBERS = 4  # shown
COLUMNS = 3  # of channels, where one has a panel of its own
PANEL, BARS = 1.25, 1.3  # inches


def field_panels(
    seen: Tensor | None, x: Tensor, members: Tensor, names: Sequence[str], channel: int = 0
) -> Figure:
    """A case a row: what is given, what came true, the members' mean and spread, and some members.

    All but the spread share one scale of colour.

    Shapes: seen (N, H, W) or None; x (N, C, H, W); members (N, M, C, H, W), M four or more.

    Args:
        seen: What the context says of the channel.
        x: Held-out fields.
        members: Draws under their contexts.
        names: Of the channels.
        channel: Which one is shown.
    """
    shown = {} if seen is None else {"given": seen}
    drawn = members[:, :, channel]
    shown |= {"truth": x[:, channel], "mean": drawn.mean(1), "spread": drawn.std(1)}
    shown |= {f"draw {k + 1}": drawn[:, k] for k in range(MEMBERS)}
    height = PANEL * x.shape[-2] / x.shape[-1] + 0.08
    figure, axes = panels(len(x), len(shown), height)
    figure.set_size_inches(len(shown) * PANEL + BARS, len(x) * height + 0.3)
    scale = _ends(x[:, channel])
    widest = float(shown["spread"].max())
    images = {}
    for place, each in enumerate(axes):
        title = [*shown][place % len(shown)]
        field = shown[title][place // len(shown)]
        ends = (0.0, widest) if title == "spread" else scale
        colours = "magma" if title == "spread" else "viridis"
        images[title] = _image(each, field, ends, colours)
        label(each, title if place < len(shown) else "")
    for title in ("truth", "spread"):
        bar = figure.colorbar(images[title], ax=axes, shrink=0.8, pad=0.01, fraction=0.03)
        _plain(bar, names[channel] if title == "truth" else f"spread of {names[channel]}")
    return figure


def context_panels(context: Tensor, names: Sequence[str]) -> Figure:
    """What else is given in each case: a case a row, a channel a column, each channel by a scale of its own.

    Shapes: context (N, K, H, W).
    """
    height = PANEL * context.shape[-2] / context.shape[-1] + 0.08
    figure, axes = panels(len(context), len(names), height)
    figure.set_size_inches(max(len(names) * PANEL, 2 * PANEL) + 0.3, len(context) * height + 0.9)
    for channel, name in enumerate(names):
        column = axes[channel :: len(names)]
        ends = _ends(context[:, channel])
        images = [_image(each, field, ends) for each, field in zip(column, context[:, channel], strict=True)]
        label(column[0], cut(name, 14))
        _plain(figure.colorbar(images[0], ax=column, location="bottom", pad=0.02, aspect=12))
    return figure


def crps_panels(found: Tensor, exact: Tensor | None, names: Sequence[str]) -> Figure:
    """CRPS of each cell, a channel a panel; beside it the exact law's by the same colours, and what is lost.

    Shapes: found, exact (C, H, W), means over cases in data units; exact may be None.
    """
    shown: list[tuple[str, Tensor, tuple[float, float], str, str | None]] = []
    for channel, name in enumerate(names):
        model, bar = found[channel], f"CRPS of {name}"
        if exact is None:
            shown.append((cut(name, 16), model, _ends(model), "viridis", bar))
            continue
        law = exact[channel]
        ends, lost = _ends(torch.stack((model, law))), model - law
        reach = max(map(abs, _ends(lost)))
        shown.append((f"{cut(name, 12)}: model", model, ends, "viridis", None))
        shown.append(("exact law", law, ends, "viridis", bar))
        shown.append(("model less law", lost, (-reach, reach), "RdBu_r", "more CRPS"))
    columns = min(COLUMNS, len(shown))
    height = WIDTH / columns * 0.8 * found.shape[-2] / found.shape[-1] + 0.3
    figure, axes = panels(-(-len(shown) // columns), columns, height, range(len(shown)))
    for each, (title, field, ends, colours, bar) in zip(axes, shown, strict=True):
        image = _image(each, field, ends, colours)
        label(each, title)
        if bar is not None:
            _plain(figure.colorbar(image, ax=each, pad=0.02, fraction=0.05), bar)
    return figure


def spectrum_panels(x: Tensor, members: Tensor, names: Sequence[str]) -> Figure:
    """Power by wave number, of what came true and of members, a channel a panel.

    Shapes: x (N, C, H, W); members (N, M, C, H, W).
    """
    from matplotlib.ticker import NullFormatter

    columns = min(COLUMNS, len(names))
    figure, axes = panels(-(-len(names) // columns), columns, 2.9, range(len(names)))
    for channel, (each, name) in enumerate(zip(axes, names, strict=True)):
        real, generated = spectrum(x[:, channel]), spectrum(members[:, :, channel])
        waves = torch.arange(1, len(real) + 1).tolist()
        each.loglog(waves, real.tolist(), color=REAL, linewidth=2.5, alpha=0.6, label="real")
        each.loglog(waves, generated.tolist(), color=GENERATED, linewidth=1.4, label="generated")
        each.set_xscale("log", base=2)
        each.xaxis.set_major_formatter("{x:.0f}")
        low, high = each.get_ylim()
        each.set_ylim(min(low, high / 10), high)  # a decade at least, so that a tick is labelled
        for axis in (each.xaxis, each.yaxis):
            axis.set_minor_formatter(NullFormatter())
        label(each, cut(name, 24), "waves per field", "" if channel % columns else "power")
    legend(axes[0])
    return figure


def rank_panels(ranks: Tensor, members: int) -> Figure:
    """How often what came true had each rank among the members; even is right, but for chance.

    Shapes: ranks (N,), from 0 to `members`.
    """
    from scipy.stats import binom

    figure, (axes,) = panels(1, 1, 2.9)
    bins = min(members + 1, 17)
    edges = torch.linspace(0, members + 1, bins + 1).round().double()
    chances, places = edges.diff() / (members + 1), (edges / (members + 1)).tolist()
    counts = torch.histogram(ranks.double(), edges).hist
    axes.stairs((counts / len(ranks) / chances).tolist(), places, fill=True, color=REAL, alpha=0.35)
    axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="even")
    for end, name in ((0.005, "99 % of bars, by chance"), (0.995, None)):
        reached = torch.from_numpy(binom.ppf(end, len(ranks), chances.numpy())) / len(ranks) / chances
        axes.stairs(reached.tolist(), places, baseline=None, color=MUTED, label=name)
    axes.set_ylim(bottom=0)
    label(axes, "", "rank of what came true among the members, as a share", "frequency, 1 if even")
    legend(axes)
    return figure


def _ends(fields: Tensor) -> tuple[float, float]:
    """The range that shows all but stray cells."""
    low, high = fields.double().flatten().quantile(torch.tensor([0.005, 0.995], dtype=torch.float64)).tolist()
    return low, high if high > low else low + 1.0


def _image(axes: Axes, field: Tensor, ends: tuple[float, float], colours: str = "viridis") -> AxesImage:
    """A field (H, W), its first row at the bottom, without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(field.numpy(), origin="lower", vmin=ends[0], vmax=ends[1], cmap=colours)


def _plain(bar: Colorbar, name: str = "") -> None:
    """A colour bar without a frame, in the figures' own type."""
    bar.set_label(cut(name, 20), color=INK, fontsize=TEXT - 1.5, parse_math=False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 2)
    bar.outline.set_visible(False)
