"""The figures of a model of fields."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.core import Dataset, Part, Sampler, Spec
from flows.evaluation.blocks import examples, place
from flows.evaluation.ensembles import counterparts, draw, room
from flows.evaluation.frame import frame_of
from flows.evaluation.holes import filled, scored, there
from flows.evaluation.metrics.ensemble import crps, ranks
from flows.evaluation.plots.crps import crps_panels
from flows.evaluation.plots.fields import context_panels, field_panels
from flows.evaluation.plots.ranks import rank_panels
from flows.evaluation.plots.spectra import spectrum_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMBERS = 16
ROWS = 3  # cases shown one by one


def field_figures(model: Sampler, dataset: Dataset, part: Part, seed: int, cases: int) -> dict[str, Figure]:
    """Always the same cases and the same draws, so that figures of one run compare.

    Each channel has a figure `fields_name`, or `fields` if there is one channel; `context` shows what the
    context says of no channel of x.

    Args:
        model: In evaluation mode, on any device.
        dataset: Where cases come from, and the exact law if it is known.
        part: The part whose cases are shown.
        seed: Of every draw made here.
        cases: How many at most.
    """
    spec = dataset.spec
    here, cpu = torch.Generator(place(model)[0]).manual_seed(seed), torch.Generator().manual_seed(seed)
    batch = examples(dataset, part, min(cases, room(MEMBERS, spec)), cpu)
    x = batch.x.double().cpu()
    context = None if batch.context is None else batch.context.double().cpu()
    members = draw(model, spec, context, len(x), MEMBERS, here)
    seen, figures, around = counterparts(spec), {}, frame_of(dataset, part)
    upright = partial(_upright, falls=around.falls)
    for channel, said in enumerate(seen):
        given = None if context is None or said is None else upright(context[:ROWS, said])
        panels = field_panels(given, upright(x[:ROWS]), upright(members[:ROWS]), around, channel)
        figures[_key(spec, channel)] = panels
    others = [k for k in range(len(spec.context_names)) if k not in seen]
    if context is not None and others:
        figures["context"] = context_panels(
            upright(context[:ROWS, others]), [spec.context_names[k] for k in others]
        )
    exact = None
    if dataset.truth is not None:
        exact = upright(crps(draw(dataset.truth, spec, context, len(x), MEMBERS, cpu), x).mean(0))
    figures["crps"] = crps_panels(upright(crps(members, x).mean(0)), exact, around)
    mask = there(spec)
    figures["spectra"] = spectrum_panels(filled(x, mask), filled(members, mask), spec.names)
    figures["ranks"] = rank_panels(ranks(scored(members, mask), scored(x, mask), cpu), MEMBERS)
    return figures


def _key(spec: Spec, channel: int) -> str:
    """What a channel's figure is called: by its name, or its number where a file can't bear the name."""
    if len(spec.names) == 1:
        return "fields"
    bearable = re.fullmatch(r"[\w-]+", spec.names[channel])
    return f"fields_{bearable[0] if bearable else channel}"


def _upright(fields: Tensor, falls: bool) -> Tensor:
    """The larger row coordinate last, for images have their first row at the bottom."""
    return fields.flip(-2) if falls else fields
