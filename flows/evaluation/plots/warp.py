"""The latent plane, carried into data space layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.core import Compose, Flow, Transform
from flows.evaluation.blocks import place
from flows.evaluation.plots.style import PALETTE, label, panels, plane, window
from flows.training.thinned import evenly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REACH, LINES, POINTS = 2.5, 17, 801
STAGES = 6


@torch.no_grad()
def grid_warp(flow: Flow, names: Sequence[str], context: Tensor | None = None) -> Figure:
    """A regular grid over the latent plane, after some of the layers, and in data space at the end.

    Args:
        flow: Of two features; a Compose is shown layer by layer, at most six stages evenly chosen.
        names: Names of the features.
        context: The context it is shown under (*context_shape), or None.
    """
    from matplotlib.collections import LineCollection

    device, dtype = place(flow)
    lines = _grid().to(device, dtype)
    if context is not None:
        context = context.to(device, dtype).expand(*lines.shape[:2], *context.shape)
        context = flow.normalise(context)
    stages = [lines]
    for transform in reversed([*_layers(flow.transform)]):
        stages.append(transform.inverse(stages[-1], context)[0])
    chosen = evenly(len(stages), STAGES).tolist()

    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, axes = panels(rows, columns, 2.3 if columns == 3 else 3.0)
    for each, stage in zip(axes, chosen, strict=False):
        lines = stages[stage].double().cpu()
        for half, colour in zip(lines.chunk(2), PALETTE[:2], strict=True):
            each.add_collection(LineCollection(half.tolist(), colors=colour, linewidths=0.6, rasterized=True))
        plane(each, window(lines.flatten(0, 1)))
        each.set_aspect("auto")
        last = stage == len(stages) - 1
        label(each, "latent" if stage == 0 else "data" if last else f"after {stage} of {len(stages) - 1}")
        each.tick_params(labelsize=7)
    label(axes[0], "latent", "z₁", "z₂")
    label(axes[len(chosen) - 1], "data", names[0], names[1])
    for each in axes[len(chosen) :]:
        each.set_visible(False)
    return figure


def _grid() -> Tensor:
    """First the upright lines, then the level ones (2 * LINES, POINTS, 2)."""
    across = torch.linspace(-REACH, REACH, LINES, dtype=torch.float64)
    along = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    fixed, running = torch.meshgrid(across, along, indexing="ij")
    return torch.cat((torch.stack((fixed, running), -1), torch.stack((running, fixed), -1)))


def _layers(transform: Transform) -> Iterator[Transform]:
    if isinstance(transform, Compose):
        for part in transform:
            yield from _layers(part)
    else:
        yield transform
