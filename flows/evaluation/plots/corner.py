"""Features in pairs, real and generated over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.core import Spec
from flows.evaluation.plots.features import feature, ticks
from flows.evaluation.plots.style import (
    GENERATED,
    REAL,
    TEXT,
    WIDTH,
    cut,
    histograms,
    key,
    label,
    panels,
    scatter,
)
from flows.lattice import dequantise
from flows.training.thinned import evenly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEATURES, BINS, POINTS = 6, 30, 1500


def corner_panels(real: Tensor, generated: Tensor, spec: Spec) -> Figure:
    """Histograms on the diagonal, a scatter of each pair below it; at most the first six features.

    Points of both kinds lie in one shuffled heap, so that neither hides the other; those of a lattice
    are spread over their cells.

    Shapes: real, generated (N, D), D at least two, on the lattice where there is one.

    Args:
        real: Held-out points.
        generated: Draws of the model.
        spec: Names, support and lattice of the features.
    """
    features = real.shape[1]
    count = min(features, FEATURES)
    shown = [feature(spec, place, real[:, place], BINS) for place in range(count)]
    generator = torch.Generator().manual_seed(0)
    real, generated = (dequantise(points, spec, generator) for points in (real, generated))
    each = min(len(real), len(generated), POINTS)
    heap = torch.cat([points[evenly(len(points), each)] for points in (real, generated)])
    order = torch.randperm(len(heap), generator=generator)
    colours = [REAL if place < each else GENERATED for place in order.tolist()]
    heap = heap[order]

    size = min(6.0, max(1.5, 900 / each))  # few points are to be seen one by one
    pairs = [(row, column) for row in range(count) for column in range(row + 1)]
    figure, axes = panels(count, count, WIDTH / count, [row * count + column for row, column in pairs])
    key(figure, f"the first {count} of {features} features" if count < features else "")
    for panel, (row, column) in zip(axes, pairs, strict=True):
        across, up = shown[column], shown[row]
        if row == column:
            histograms(panel, across.edges, real[:, column], generated[:, column])
            panel.set_yticks([])
            panel.spines["left"].set_visible(False)
        else:
            scatter(panel, heap[:, [column, row]], colours, size, 0.7)
            panel.set(xlim=across.limits, ylim=up.limits)
            ticks(panel.yaxis, up, 3, TEXT - 3)
        ticks(panel.xaxis, across, 3, TEXT - 3, turn=45)
        first, last = column == 0 and row > 0, row == count - 1
        panel.tick_params(labelbottom=last, labelleft=first)
        names = [cut(each.name, 72 // count) for each in (across, up)]
        label(panel, "", names[0] if last else "", names[1] if first else "")
    figure.align_labels()
    return figure
