"""What the flow does to points, both ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flows.core import Batch, Flow
from flows.evaluation.blocks import latent, place
from flows.evaluation.plots.style import MUTED, PALETTE, class_colours, label, panels, plane, scatter, window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALIKE = 3  # ranges whose ratio is less are shown in equal units
WHEEL = (PALETTE[0], PALETTE[2], PALETTE[1], PALETTE[3], PALETTE[0])  # once round, none of it pale


@torch.no_grad()
def latent_panels(
    flow: Flow, batch: Batch, classes: Tensor | None, names: Sequence[str], generator: torch.Generator
) -> Figure:
    """Data and latent space side by side: points carried to the right, latent draws carried to the left.

    Points are coloured by class, and latent draws by the class of the point nearest to where they land;
    without classes, by their angle. Of more than two features, the first two are shown.

    Args:
        flow: What is shown.
        batch: Examples of the data (N, D).
        classes: The class of each (N,), or None.
        names: Names of the features.
        generator: Of the latent draws, where the flow lives.
    """
    device, dtype = place(flow)
    z = latent(flow, batch)[:, :2]
    context = None if batch.context is None else batch.context.to(device, dtype)
    given = flow.normalise(context)
    noise = (
        flow.base.sample(len(z), None, generator)
        if given is None
        else flow.base.sample(1, given, generator)[0]
    )
    drawn = flow.rsample(noise, context)[0].double().cpu()
    noise = noise.double().cpu()[:, :2]

    figure, axes = panels(2, 2, 2.9)
    colours = class_colours(classes)
    landed = _angles(noise) if classes is None else class_colours(_nearest(drawn, batch.x, classes))
    clouds = (batch.x[:, :2], z, drawn[:, :2], noise)
    for each, points, colour in zip(axes, clouds, (colours, colours, landed, landed), strict=True):
        scatter(each, points, colour)
    (data, aspect), latents = _filling(window(batch.x[:, :2])), _square([*window(z, noise), (-3.2, 3.2)])
    of = f", 2 of {batch.x.shape[1]} features" if batch.x.shape[1] > 2 else ""
    titles = (f"data x{of}", "→  latent z", "generated x", "←  latent draws z")
    for corner, (each, title) in enumerate(zip(axes, titles, strict=True)):
        left = corner % 2 == 0
        plane(each, data if left else latents, aspect if left else 1.0)
        label(each, title, *((names[0], names[1]) if left else ("z₁", "z₂")))
        if not left:
            _circles(each)
    return figure


def _nearest(drawn: Tensor, points: Tensor, classes: Tensor) -> Tensor:
    """The class of the point (N, D) that is nearest to each draw (M, D)."""
    return classes[torch.cdist(drawn, points.to(drawn)).argmin(1)]


def _angles(z: Tensor) -> Sequence[Any]:
    """A colour for each direction from the origin."""
    from matplotlib.colors import LinearSegmentedColormap

    turn = torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi) % 1
    return LinearSegmentedColormap.from_list("angle", WHEEL)(turn.numpy()).tolist()


def _filling(limits: list[tuple[float, float]]) -> tuple[list[tuple[float, float]], float]:
    """Ranges that fill a square panel, and its aspect: equal units, unless one feature would be a line."""
    across, up = (high - low for low, high in limits)
    alike = max(across, up) < ALIKE * min(across, up)
    return (_square(limits), 1.0) if alike else (limits, across / up)


def _square(limits: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The first two ranges about their own middles, as wide as the widest: panels of one size."""
    reach = max(high - low for low, high in limits) / 2
    return [((low + high) / 2 - reach, (low + high) / 2 + reach) for low, high in limits[:2]]


def _circles(axes: Axes) -> None:
    """One, two and three standard deviations of the base."""
    from matplotlib.patches import Circle

    for radius in (1, 2, 3):
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=MUTED, linewidth=0.7, zorder=3))
