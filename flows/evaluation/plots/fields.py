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
    cut,
    label,
    legend,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMBERS = 3  # shown
PANEL, BARS = 1.25, 1.3  # inches


def field_panels(
    seen: Tensor | None, x: Tensor, members: Tensor, names: Sequence[str], channel: int = 0
) -> Figure:
    """A case a row: what is given, what came true, the members' mean and spread, and some members.

    All but the spread share one scale of colour.

    Shapes: seen (N, H, W) or None; x (N, C, H, W); members (N, M, C, H, W), M three or more.

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
    low, high = (float(x[:, channel].double().quantile(q)) for q in (0.005, 0.995))
    widest = float(shown["spread"].max())
    images = {}
    for place, each in enumerate(axes):
        title = [*shown][place % len(shown)]
        field = shown[title][place // len(shown)].numpy()
        ends = (0.0, widest) if title == "spread" else (low, high)
        colours = "magma" if title == "spread" else "viridis"
        images[title] = each.imshow(field, origin="lower", vmin=ends[0], vmax=ends[1], cmap=colours)
        each.set_xticks([])
        each.set_yticks([])
        label(each, title if place < len(shown) else "")
    for title in ("truth", "spread"):
        bar = figure.colorbar(images[title], ax=axes, shrink=0.8, pad=0.01, fraction=0.03)
        name = names[channel] if title == "truth" else f"spread of {names[channel]}"
        bar.set_label(cut(name, 20), color=INK, fontsize=TEXT - 1.5, parse_math=False)
        bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 2)
        bar.outline.set_visible(False)
    return figure


def spectrum_panels(x: Tensor, members: Tensor, names: Sequence[str]) -> Figure:
    """Power by wave number, of what came true and of members, a channel a panel.

    Shapes: x (N, C, H, W); members (N, M, C, H, W).
    """
    figure, axes = panels(1, len(names), 2.9)
    for channel, (each, name) in enumerate(zip(axes, names, strict=True)):
        real, generated = spectrum(x[:, channel]), spectrum(members[:, :, channel])
        waves = torch.arange(1, len(real) + 1).tolist()
        each.loglog(waves, real.tolist(), color=REAL, linewidth=2.5, alpha=0.6, label="real")
        each.loglog(waves, generated.tolist(), color=GENERATED, linewidth=1.4, label="generated")
        label(each, cut(name, 24), "waves per field", "power" if channel == 0 else "")
    legend(axes[0])
    return figure


def rank_panels(ranks: Tensor, members: int) -> Figure:
    """How often what came true had each rank among the members; even is right.

    Shapes: ranks (N,), from 0 to `members`.
    """
    figure, (axes,) = panels(1, 1, 2.9)
    bins = min(members + 1, 17)
    edges = torch.linspace(0, members + 1, bins + 1).round().double()
    counts = torch.histogram(ranks.double(), edges).hist
    share = counts / len(ranks) / edges.diff() * (members + 1)
    axes.stairs(share.tolist(), (edges / (members + 1)).tolist(), fill=True, color=REAL, alpha=0.35)
    axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="even")
    axes.set_ylim(bottom=0)
    label(axes, "", "rank of what came true among the members, as a share", "frequency, 1 if even")
    legend(axes)
    return figure
