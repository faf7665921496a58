"""How good a model's ensembles of fields are, beside those of the law itself and of simpler forecasts."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from statistics import fmean, stdev

import torch
from torch import Tensor

from flows.core import Batch, Sampler, Spec
from flows.evaluation.blocks import keep_memory, place
from flows.evaluation.holes import filled, scored, there
from flows.evaluation.meaning import distinct
from flows.evaluation.metrics.ensemble import (
    crps,
    energy_score,
    rank_p,
    ranks,
    spectral_distance,
    spectrum,
    spread_skill,
)
from flows.signals import stop_if_asked
from flows.training.thinned import evenly

MEMBERS = 50
NUMBERS = 2**24  # most that an ensemble of all cases holds: cases are left out beyond
BLOCK = 2**16  # numbers drawn at once; of more, what nets make of them outgrows the processor's cache …
LARGEST = 2**19  # … or, of the many members of one case, its memory
FITTED = 4096  # training fields that a channel's unit is taken from
REPLICATIONS = 9
T_995 = 3.355  # Student's t at 99.5 %, for as many replications less one


def judge_fields(
    model: Sampler,
    truth: Sampler | None,
    spec: Spec,
    test: Batch,
    train: Tensor,
    generator: torch.Generator,
    members: int = MEMBERS,
) -> dict[str, float]:
    """Scores of ensembles of the model under the contexts of the test cases.

    `cases` is how many there was room for, evenly spread over the test part. `crps` and `energy_score` are
    fair to any number of members; `mae` and `rmse` are those of the ensemble's mean; `spread_skill` is 1 and
    `rank_chi2_p` any number alike where members and truth can be exchanged; `log_spectral_distance` is the
    decibels between the spectra of members and of the test cases, the mean over channels.

    Of one channel, scores are in data units. Several may have units of their own: each counts in standard
    deviations of the training fields, and `key_name` is the score of one by itself, in data units.

    `key_exact` is the mean over nine replications of what the law scores, on cases of its own draws under
    the same contexts; `key_exact_low` and `_high` hold 99 % of single ones (Student's t).
    `key_climatology` is that of an ensemble of training fields, whatever the context, and
    `key_interpolation` that of the context's channels called as those of x, as a forecast of one
    member: there is no spread in it. A chance has no such references.

    Cells that the data never has are left out, and in spectra stand at their channel's mean.

    Shapes: x (N, C, H, W); train (M, C, H, W).

    Args:
        model: What is judged, on the CPU.
        truth: The law given the context, or None.
        spec: What a field is.
        test: Held-out cases.
        train: Training fields.
        generator: Of every draw.
        members: Of each ensemble, two at least.
    """
    places = evenly(len(test.x), room(members, spec))
    x, context = test.x[places].double(), None if test.context is None else test.context[places]
    score = partial(_scores, spec=spec, units=_units(train, spec), generator=generator)
    found = {"cases": float(len(x))}
    found |= score(draw(model, spec, context, len(x), members, generator), x)
    if truth is not None:
        scores: dict[str, list[float]] = defaultdict(list)
        for _ in range(REPLICATIONS):
            stop_if_asked()
            drawn = draw(truth, spec, context, len(x), members + 1, generator)
            for key, value in score(drawn[:, 1:], drawn[:, 0]).items():
                scores[key].append(value)
        scores.pop("rank_chi2_p")  # any number alike
        for key, values in scores.items():
            mean, reach = fmean(values), T_995 * stdev(values) * math.sqrt(1 + 1 / len(values))
            found |= {f"{key}_exact": mean}
            found |= {f"{key}_exact_low": mean - reach, f"{key}_exact_high": mean + reach}
    anywhere = torch.randint(len(train), (len(x), members), generator=generator)
    climate = score(train.double()[anywhere], x)
    climate.pop("rank_chi2_p")
    found |= {f"{key}_climatology": value for key, value in climate.items()}
    seen = interpolation(spec, context)
    if seen is not None:
        simple = score(seen.double().unsqueeze(1), x)
        found |= {f"{key}_interpolation": value for key, value in simple.items()}
    return found


def room(members: int, spec: Spec) -> int:
    """For how many cases ensembles of so many members are drawn, at most."""
    return max(2, NUMBERS // (members * math.prod(spec.shape)))


@torch.no_grad()
def draw(
    sampler: Sampler, spec: Spec, context: Tensor | None, cases: int, members: int, generator: torch.Generator
) -> Tensor:
    """Members under the context of each case, float64 on the CPU (cases, members, C, H, W)."""
    device, dtype = place(sampler)
    keep_memory()
    size = math.prod(spec.shape) if context is None else context[0].numel()
    shares = _shares(members, max(1, LARGEST // size))
    if context is None:
        alone = (_members(sampler, shares, None, generator) for _ in range(cases))
        return torch.stack([*alone])
    blocks = context.to(dtype).split(max(1, BLOCK // (members * size)))
    drawn = [_members(sampler, shares, some.to(device), generator).transpose(0, 1) for some in blocks]
    return torch.cat(drawn)


def _members(
    sampler: Sampler, shares: list[int], context: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Members by shares (members, *batch, C, H, W)."""
    drawn = []
    for n in shares:
        stop_if_asked()
        drawn.append(sampler.sample(n, context, generator).double().cpu())
    return torch.cat(drawn)


def _shares(members: int, most: int) -> list[int]:
    """How many members are drawn at once."""
    return [min(most, members - start) for start in range(0, members, most)]


def counterparts(spec: Spec) -> list[int | None]:
    """Where the context speaks of each channel of x: its channel `name` or, the shortest first, `…_name`.

    >>> counterparts(Spec(("t", "u"), (2, 8, 8), ("lag1_skin_t", "lag1_t"), (2, 8, 8)))
    [1, None]
    """
    found = [
        [place for place, other in enumerate(spec.context_names) if f"_{other}".endswith(f"_{name}")]
        for name in spec.names
    ]
    return [min(some, key=lambda place: len(spec.context_names[place]), default=None) for some in found]


def interpolation(spec: Spec, context: Tensor | None) -> Tensor | None:
    """What the context says of x, by the counterparts of its channels; None unless each has one."""
    places = [place for place in counterparts(spec) if place is not None]
    return None if context is None or len(places) < len(spec.names) else context[:, places]


def _units(train: Tensor, spec: Spec) -> Tensor:
    """What each channel is divided by (C, 1, 1): of several, the standard deviation of training fields."""
    if len(spec.names) == 1:
        return torch.ones(1, 1, 1, dtype=torch.float64)
    mask, some = there(spec), train[evenly(len(train), FITTED)].double()
    alone = (some[:, k] if mask is None else some[:, k, mask[k]] for k in range(len(spec.names)))
    deviations = torch.stack([each.std() for each in alone])
    return torch.where(deviations > 0, deviations, 1.0).view(-1, 1, 1)


def _scores(
    members: Tensor, x: Tensor, spec: Spec, units: Tensor, generator: torch.Generator
) -> dict[str, float]:
    """Scores of all channels and, where there are several, of each by itself."""
    mask = there(spec)
    scaled = members / units, x / units
    whole = [scored(fields, mask) for fields in scaled]
    found = _cell_by_cell(*scaled, mask)
    found["energy_score"] = energy_score(whole[0], whole[1]).mean().item()
    if members.shape[1] > 1:
        found["rank_chi2_p"] = rank_p(ranks(whole[0], whole[1], generator), members.shape[1])
    if len(spec.names) > 1 and distinct(spec.names, [""]):
        for k, name in enumerate(spec.names):
            one = slice(k, k + 1)
            alone = _cell_by_cell(members[:, :, one], x[:, one], None if mask is None else mask[one])
            found |= {f"{key}_{name}": value for key, value in alone.items()}
    return found


def _cell_by_cell(members: Tensor, x: Tensor, mask: Tensor | None) -> dict[str, float]:
    """Scores that don't ask how channels go together; of one member those that ask for no spread."""
    spectra = [[spectrum(each) for each in filled(some, mask).unbind(-3)] for some in (members, x)]
    members, x = scored(members, mask), scored(x, mask)
    error = members.mean(1) - x
    found = {
        "crps": crps(members, x).mean().item(),
        "mae": error.abs().mean().item(),
        "rmse": error.square().mean().sqrt().item(),
    }
    if members.shape[1] > 1:
        found["spread_skill"] = spread_skill(members, x)
    return found | {"log_spectral_distance": fmean(map(spectral_distance, *spectra))}
