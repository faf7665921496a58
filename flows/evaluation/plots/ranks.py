"""Where what came true stands among a model's draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.plots.style import INK, MUTED, REAL, label, legend, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])  # room for the legend
    label(axes, "", "rank of what came true among the members, as a share", "frequency, 1 if even")
    legend(axes)
    return figure
