"""The figures of a model of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flows.core import Dataset, Part, Sampler
from flows.evaluation.blocks import examples, place
from flows.evaluation.ensembles import draw, interpolation
from flows.evaluation.metrics.ensemble import ranks
from flows.evaluation.plots.fields import field_panels, rank_panels, spectrum_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CASES, MEMBERS = 64, 16
ROWS, CHANNELS = 3, 4  # shown


def field_figures(model: Sampler, dataset: Dataset, part: Part, seed: int) -> dict[str, Figure]:
    """Always the same cases and the same draws, so that figures of one run compare.

    Args:
        model: In evaluation mode, on any device.
        dataset: Where cases come from.
        part: The part whose cases are shown.
        seed: Of every draw made here.
    """
    spec = dataset.spec
    here, cpu = torch.Generator(place(model)[0]).manual_seed(seed), torch.Generator().manual_seed(seed)
    batch = examples(dataset, part, CASES, cpu)
    x = batch.x.double().cpu()
    context = None if batch.context is None else batch.context.double().cpu()
    members = draw(model, context, len(x), MEMBERS, here)
    seen = interpolation(spec, context)
    figures = {}
    for channel, name in enumerate(spec.names[:CHANNELS]):
        given = None if seen is None else seen[:ROWS, channel]
        key = "fields" if len(spec.names) == 1 else f"fields_{name}"
        figures[key] = field_panels(given, x[:ROWS], members[:ROWS], spec.names, channel)
    figures["spectra"] = spectrum_panels(x, members, spec.names[:CHANNELS])
    figures["ranks"] = rank_panels(ranks(members, x, cpu), MEMBERS)
    return figures
