"""Real points beside generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from flows.evaluation.plots.style import PALETTE, class_colours, label, legend, panels, plane, scatter, window

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sample_panels(
    real: Tensor, generated: Tensor, names: Sequence[str], classes: Tensor | None = None
) -> Figure:
    """Two clouds in equal axes; of more than two features the first two, of one its two histograms.

    Shapes: real, generated (N, D).

    Args:
        real: Held-out points.
        generated: Draws of the model, as many.
        names: Names of the features.
        classes: Class of each real point and of the draw under its context (N,), None if draws have none.
    """
    if real.shape[1] == 1:
        return _histograms(real, generated, names[0])
    real, generated = real[:, :2], generated[:, :2]
    limits = window(real)
    (left, right), (bottom, top) = limits
    figure, axes = panels(1, 2, min(4.5, max(2.2, 2.8 * (top - bottom) / (right - left) + 0.8)))
    for each, points, title in zip(axes, (real, generated), ("real", "generated"), strict=True):
        scatter(each, points, class_colours(classes))
        plane(each, limits)
        label(each, title, names[0], names[1] if points is real else "")
    return figure


def _histograms(real: Tensor, generated: Tensor, name: str) -> Figure:
    figure, (axes,) = panels(1, 1, 3.4)
    (limits,) = window(real)
    for points, title, colour in zip((real, generated), ("real", "generated"), PALETTE, strict=False):
        options = {"bins": 60, "range": limits, "density": True, "histtype": "step", "linewidth": 1.6}
        axes.hist(points[:, 0].tolist(), color=colour, label=title, **options)
    label(axes, "Real and generated", name, f"density per unit of {name}")
    legend(axes)
    return figure
