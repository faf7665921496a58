"""The figures of one density: cheap enough to draw while it trains, the same ones in the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.core import Batch, Dataset, Density, Flow, Part
from flows.evaluation.blocks import examples, place, samples, some_contexts, spread
from flows.evaluation.plots import densities, grid_warp, latent_panels, loss_curves, sample_panels
from flows.files import write_whole
from flows.training.saved import Saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_figures(
    density: Density, dataset: Dataset, part: Part = "val", points: int = 2000, seed: int = 0
) -> dict[str, Figure]:
    """What can be seen of a density, by name: latent, warp, density, samples; only what makes sense for it.

    Always the same points and the same draws, so that figures of one run compare. Data that isn't
    vectors has none.

    Args:
        density: The model, in evaluation mode, on any device.
        dataset: Where points, classes and truth come from.
        part: The part whose points are shown.
        points: How many.
        seed: Of every draw made here.
    """
    spec = dataset.spec
    if len(spec.shape) != 1:
        return {}
    (features,) = spec.shape
    here = torch.Generator(place(density)[0]).manual_seed(seed)
    batch = examples(dataset, part, points, torch.Generator().manual_seed(seed))
    batch = Batch(batch.x.double().cpu(), None if batch.context is None else batch.context.double().cpu())
    classes = shown_classes(dataset, part, points)
    kinds = some_contexts(batch.context)

    figures: dict[str, Figure] = {}
    if features <= 2:
        figures["density"] = densities({"model": density}, dataset.truth, batch, spec.names, kinds)
    drawn = samples(density, len(batch.x), batch.context, here)
    given = None if batch.context is None else classes
    figures["samples"] = sample_panels(batch.x, drawn, spec.names, given)
    if isinstance(density, Flow) and features > 1:
        figures["latent"] = latent_panels(density, batch, classes, spec.names, here)
    if isinstance(density, Flow) and features == 2:
        figures["warp"] = grid_warp(density, spec.names, None if kinds is None else kinds[0])
    return figures


def shown_classes(dataset: Dataset, part: Part, points: int) -> Tensor | None:
    """The class of each of the points that `examples` gives."""
    classes = None if dataset.source(part) is None else dataset.classes(part)
    return None if classes is None else classes[spread(len(classes), points)]


def save_losses(run: Path) -> Path:
    """Write a run's loss curves beside its metrics, as loss.png."""
    path = run / "loss.png"
    write_whole(path, png(loss_curves({run.name: Saved(run).metrics()})))
    return path


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()
