"""Real points beside generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from flows.evaluation.plots.style import (
    GENERATED,
    REAL,
    class_colours,
    label,
    pair,
    scatter,
    window,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sample_panels(
    real: Tensor, generated: Tensor, names: Sequence[str], classes: Tensor | None = None
) -> Figure:
    """Two clouds in equal axes.

    Shapes: real, generated (N, 2).

    Args:
        real: Held-out points.
        generated: Draws of the model, as many.
        names: Names of the features.
        classes: Class of each real point and of the draw under its context (N,), None if draws have none.
    """
    limits = window(real)
    figure, axes = pair(limits)
    clouds = ((real, "real", REAL), (generated, "generated", GENERATED))
    for each, (points, title, colour) in zip(axes, clouds, strict=True):
        scatter(each, points, colour if classes is None else class_colours(classes))
        label(each, title, names[0], names[1] if each is axes[0] else "")
    return figure
