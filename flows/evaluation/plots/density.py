"""The density beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from flows.core import Batch, Density
from flows.evaluation.blocks import log_prob
from flows.evaluation.plots.style import INK, MUTED, PALETTE, TEXT, cut, label, legend, panels, plane, window
from flows.training.thinned import evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

DECADES = 4  # of density that the logarithmic panels show
LETTERS = 60  # that there is room for above all panels
CONTEXTS = 16  # averaged over at most


class Shares(NamedTuple):
    """Contexts (K, *context_shape), and their weights (K,), which add up to one."""

    contexts: Tensor
    weights: Tensor


def densities(
    models: Mapping[str, Density],
    truth: Density | None,
    batch: Batch,
    names: Sequence[str],
    resolution: int = 120,
) -> Figure:
    """The truth and each model over data space, in one colour scale: linear above, logarithmic below.

    Where the truth isn't known, the examples are binned in its place. In one dimension all are curves of
    one panel. Under contexts each density is averaged over those of the examples: by their shares if they
    are few, over some of the examples if they are many.

    Args:
        models: What is compared, by title.
        truth: The true density, or None.
        batch: Examples (N, D), D one or two, which also place the window.
        names: Names of the features.
        resolution: Points a side.
    """
    limits = window(batch.x)
    axes = [_middles(low, high, resolution) for low, high in limits]
    contexts = _shares(batch.context)
    if len(axes) == 1:
        return _curves(models, truth, batch, axes[0], names[0], contexts)
    grid = torch.cartesian_prod(*axes)
    shown = {
        name: _mass(model, grid, contexts).reshape(resolution, resolution) for name, model in models.items()
    }
    if truth is None:
        first = _binned(batch.x, limits)
        shown = {"held-out points, binned": first} | shown
    else:
        first = _mass(truth, grid, contexts).reshape(resolution, resolution)
        shown = {"truth": first} | shown
    top = float(first.max()) or 1.0  # narrow modes may all lie between the points of the grid
    return _images(shown, top, limits, names)


def _middles(low: float, high: float, count: int) -> Tensor:
    """Of `count` equal cells between two ends: no point lies on an end, where a support may stop."""
    return low + (high - low) * (torch.arange(count, dtype=torch.float64) + 0.5) / count


def _shares(context: Tensor | None) -> Shares | None:
    """The contexts of examples (N, *context_shape) by their shares; some of them if many differ."""
    if context is None:
        return None
    kinds, counts = context.unique(dim=0, return_counts=True)
    if len(kinds) > CONTEXTS:
        kinds = context[evenly(len(context), CONTEXTS)]
        counts = torch.ones(len(kinds))
    return Shares(kinds, counts.double() / counts.sum())


def _mass(density: Density, points: Tensor, contexts: Shares | None) -> Tensor:
    """Density at points (N, D), averaged over contexts."""
    if contexts is None:
        return log_prob(density, Batch(points)).exp()
    total = torch.zeros(len(points), dtype=torch.float64)
    for context, share in zip(*contexts, strict=True):
        given = context.expand(len(points), *context.shape)
        total += share * log_prob(density, Batch(points, given)).exp()
    return total


def _binned(x: Tensor, limits: list[tuple[float, float]], bins: int = 36) -> Tensor:
    flat = [end for pair in limits for end in pair]
    return torch.histogramdd(x.double(), bins=[bins] * 2, range=flat, density=True).hist


def _images(
    shown: Mapping[str, Tensor], top: float, limits: list[tuple[float, float]], names: Sequence[str]
) -> Figure:
    from matplotlib.colors import LogNorm, Normalize

    (left, right), (lower, upper) = limits
    extent = (left, right, lower, upper)
    side = 4.9 / len(shown)
    figure, axes = panels(2, len(shown), min(3.0, max(1.2, side * (upper - lower) / (right - left) + 0.45)))
    norms = (Normalize(0, top), LogNorm(top * 10**-DECADES, top))
    for row, norm in enumerate(norms):
        line = axes[row * len(shown) : (row + 1) * len(shown)]
        for each, (title, mass) in zip(line, shown.items(), strict=True):
            each.imshow(mass.T.numpy(), origin="lower", extent=extent, norm=norm, cmap=_colours())
            plane(each, limits)
            below = names[0] if row == 1 else ""
            label(
                each,
                cut(title, LETTERS // len(shown)) if row == 0 else "",
                below,
                names[1] if each is line[0] else "",
            )
        scale = "density" if row == 0 else "density (log)"
        _bar(figure, line[-1].images[0], line[-1], scale)
    return figure


def _colours() -> Colormap:
    """Viridis, also where the density is below the scale."""
    from matplotlib import colormaps

    colours = colormaps["viridis"]
    return colours.with_extremes(bad=colours(0.0))


def _bar(figure: Figure, picture: AxesImage, axes: Axes, title: str) -> None:
    bar = figure.colorbar(picture, cax=axes.inset_axes((1.05, 0, 0.05, 1)), extend="max")
    bar.set_label(title, color=INK, fontsize=TEXT - 1.5)
    bar.ax.minorticks_off()
    bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=TEXT - 2, length=3)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]  (typed as a property, is a Spine)


def _curves(
    models: Mapping[str, Density],
    truth: Density | None,
    batch: Batch,
    x: Tensor,
    name: str,
    contexts: Shares | None,
) -> Figure:
    figure, (axes,) = panels(1, 1, 3.4)
    axes.hist(batch.x[:, 0].tolist(), bins=60, density=True, color=MUTED, alpha=0.35, label="held-out points")
    points = x[:, None]
    if truth is not None:
        axes.plot(x, _mass(truth, points, contexts), color=INK, linewidth=1.4, linestyle="--", label="truth")
    for colour, (title, model) in zip(PALETTE * len(models), models.items(), strict=False):
        axes.plot(x, _mass(model, points, contexts), color=colour, linewidth=1.8, label=title)
    label(axes, "Density", name, f"density per unit of {name}")
    legend(axes)
    return figure
