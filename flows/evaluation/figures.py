"""The figures of one model: cheap enough to draw while it trains, the same ones in the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from flows.core import Batch, Dataset, Density, Flow, Part, Sampler
from flows.evaluation.blocks import examples, place, samples, some_contexts
from flows.evaluation.field_figures import field_figures
from flows.evaluation.plots import (
    coloured_panels,
    component_panels,
    corner_panels,
    densities,
    grid_warp,
    histogram_panels,
    is_picture,
    latent_panels,
    loss_curves,
    redrawn_panels,
    sample_panels,
)
from flows.files import write_whole
from flows.lattice import dequantise, quantise
from flows.training.saved import Saved
from flows.training.thinned import evenly

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_figures(
    model: Sampler,
    dataset: Dataset,
    part: Part = "val",
    points: int = 2000,
    seed: int = 0,
    draws: int = 6000,
    cases: int = 64,
) -> dict[str, Figure]:
    """What can be seen of a model, by name; only what makes sense for it and its data.

    Always the same points and the same draws, so that figures of one run compare.

    Args:
        model: In evaluation mode, on any device.
        dataset: Where points, classes and truth come from.
        part: The part whose points are shown.
        points: How many.
        seed: Of every draw made here.
        draws: How many points a picture is redrawn from.
        cases: How many fields are drawn for, at most.
    """
    spec = dataset.spec
    if len(spec.shape) == 3:
        return field_figures(model, dataset, part, seed, cases)
    if len(spec.shape) != 1:
        return {}
    (features,) = spec.shape
    here, cpu = torch.Generator(place(model)[0]).manual_seed(seed), torch.Generator().manual_seed(seed)
    batch = _on_cpu(examples(dataset, part, points, cpu))
    real, context = quantise(batch.x, spec), batch.context
    cells = Batch(dequantise(real, spec, cpu), context)  # what densities speak of
    classes = shown_classes(dataset, part, points)
    kinds = some_contexts(context)
    count = max(len(real), draws) if is_picture(spec) else len(real)
    given = None if context is None else context[torch.arange(count) % len(context)]
    drawn = quantise(samples(model, count, given, here), spec)
    alike = drawn[: len(real)]  # as many as real points, under the same contexts

    figures: dict[str, Figure] = {}
    if features <= 2 and isinstance(model, Density):
        figures["density"] = densities({"model": model}, dataset.truth, cells, spec.names)
    if is_picture(spec):
        figures["points"] = coloured_panels(real, alike, spec)
        figures["picture"] = redrawn_panels(_all_points(dataset, part, draws), drawn, spec)
    if features == 2:
        figures["samples"] = sample_panels(real, alike, spec.names, None if context is None else classes)
    else:
        figures["histograms"] = histogram_panels(real, alike, spec)
    if features > 2:
        figures["corner"] = corner_panels(real, alike, spec)
    if features > 2 and len(real) > 1:
        figures["components"] = component_panels(real, alike)
    if isinstance(model, Flow) and features > 1:
        figures["latent"] = latent_panels(model, cells, classes, spec.names, here)
    if isinstance(model, Flow) and features == 2:
        figures["warp"] = grid_warp(model, spec.names, None if kinds is None else kinds[0])
    return figures


def _all_points(dataset: Dataset, part: Part, limit: int) -> Tensor:
    """Of every part, for a picture wants all its pixels; draws of the truth where there are no parts."""
    parts: list[Part] = [each for each in get_args(Part) if dataset.source(each) is not None]
    cpu = torch.Generator().manual_seed(0)
    x = torch.cat([_on_cpu(examples(dataset, each, limit, cpu)).x for each in parts or [part]])
    return quantise(x[evenly(len(x), limit)], dataset.spec)


def _on_cpu(batch: Batch) -> Batch:
    return Batch(batch.x.double().cpu(), None if batch.context is None else batch.context.double().cpu())


def shown_classes(dataset: Dataset, part: Part, points: int) -> Tensor | None:
    """The class of each of the points that `examples` gives."""
    classes = None if dataset.source(part) is None else dataset.classes(part)
    return None if classes is None else classes[evenly(len(classes), points)]


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
