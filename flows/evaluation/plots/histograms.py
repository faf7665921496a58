"""Each feature on its own, real against generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from flows.core import Spec
from flows.evaluation.plots.features import feature, ticks
from flows.evaluation.plots.style import INK, TEXT, cut, histograms, key, label, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEATURES, BINS, LETTERS = 9, 50, 24
MISSED = 0.01  # share of draws out of sight that is worth a word; of the real points 0.004 may be


def histogram_panels(real: Tensor, generated: Tensor, spec: Spec) -> Figure:
    """A panel for each feature, at most the first nine, binned as the real values ask for.

    Shapes: real, generated (N, D), on the lattice where there is one.

    Args:
        real: Held-out points.
        generated: Draws of the model.
        spec: Names, support and lattice of the features.
    """
    features = real.shape[1]
    count = min(features, FEATURES)
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    figure, axes = panels(-(-count // columns), columns, {1: 3.4, 2: 2.4}.get(columns, 1.9), range(count))
    key(figure, f"the first {count} of {features} features" if count < features else "")
    for place, each in enumerate(axes):
        shown = feature(spec, place, real[:, place], BINS)
        drawn = generated[:, place] + shown.centre
        histograms(each, shown.edges, real[:, place] + shown.centre, drawn)
        label(each, "", cut(shown.name, LETTERS), "density" if place % columns == 0 else "")
        ticks(each.xaxis, shown, 4, TEXT - 2)
        ticks(each.yaxis, shown._replace(levels=None, centre=0.0), 3, TEXT - 2)
        low, high = shown.limits
        _missed(each, 1 - ((drawn >= low) & (drawn <= high)).double().mean().item())
    figure.align_ylabels()
    return figure


def _missed(axes: Axes, share: float) -> None:
    if share > MISSED:
        text = f"{share:.0%} of draws outside"
        axes.text(1, 1, text, transform=axes.transAxes, ha="right", va="bottom", color=INK, fontsize=TEXT - 3)
