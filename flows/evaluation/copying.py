"""Whether a model repeats its training points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from flows.core import Batch, Sampler, Spec
from flows.evaluation.duel import Units, draw, joint
from flows.evaluation.metrics import coincide, copying_z, nearest_distance, nearest_is_train
from flows.evaluation.metrics.memorisation import ONE_PERCENT
from flows.signals import stop_if_asked

CONTROLS = 50
SURE = 5.0  # standard deviations beyond which chance is no explanation
RARE = 0.01  # share of test points below which coincidences with training points are no matter of course
COMMON = 0.25  # up to this share they may be, so that draws have to coincide far more often …
DENSE = 10  # … than they would where the law is so many times as dense as on average


def copying(
    model: Sampler,
    truth: Sampler | None,
    spec: Spec,
    test: Batch,
    train: Batch,
    known: Iterable[Tensor],
    generator: torch.Generator,
    limit: int,
) -> dict[str, float]:
    """Draws, as many as test points up to a limit, beside the training points.

    `memorisation_z`: are they closer than test points are? Under the contexts of test points, for which a
    perfect model's draws could be exchanged. `memorisation_z_floor_low` and `_high` are the 1st and 99th
    percentile of fifty controls: draws of the truth likewise or, where it isn't known, two redraws of the
    test points with replacement, one in the draws' place. A law that is too narrow lowers it too, so by
    itself it is no proof.

    `nearest_train`: is the nearest real point of more draws a training point than there should be? Under
    contexts of any real points, so that training and test points could be exchanged. It doesn't depend on
    how good the model is, so a warning is built on it.

    `copied`: share of draws whose x is that of any training point (as float32), beside that of test points.

    Nothing of this, but `lost_draws`, if a draw isn't finite.

    Args:
        model: What is judged, on the CPU.
        truth: The law of the real points, or None.
        spec: What a point is.
        test, train: Real points, on the lattice if there is one; of the latter, those that are searched.
        known: x of all training points, likewise, in blocks.
        generator: Of every draw.
        limit: Most draws.
    """
    units = Units.of(joint(train), generator)
    some = torch.randperm(len(test.x), generator=generator)[:limit]
    heldout, both = test.x[some], _contexts(test, train)
    given = None if test.context is None else test.context[some]
    anywhere = None if both is None else both[torch.randint(len(both), (len(some),), generator=generator)]
    drawn = draw(model, spec, len(some), given, generator)
    roaming = draw(model, spec, len(some), anywhere, generator)
    lost = torch.cat((drawn, roaming)).isnan().any(1)
    if lost.any():
        return {"lost_draws": lost.double().mean().item()}

    seen, new = units(joint(train)), units(joint(test))
    usual = nearest_distance(new[some], seen)
    controls = []
    for _ in range(CONTROLS):
        stop_if_asked()
        if truth is None:
            again = usual[torch.randint(len(usual), usual.shape, generator=generator)]
            other = usual[torch.randint(len(usual), usual.shape, generator=generator)]
            controls.append(copying_z(again, other))
        else:
            again = draw(truth, spec, len(some), given, generator)
            controls.append(copying_z(nearest_distance(units(again), seen), usual))
    low, high = torch.tensor(controls).quantile(torch.tensor([0.01, 0.99])).tolist()
    share = nearest_is_train(units(roaming), seen, new)
    x = drawn[:, : heldout[0].numel()]
    repeated = coincide(torch.cat((x, heldout.flatten(1))), known).double()
    return {
        "memorisation_z": copying_z(nearest_distance(units(drawn), seen), usual),
        "memorisation_z_floor_low": low,
        "memorisation_z_floor_high": high,
        "nearest_train": share.value,
        "nearest_train_floor": share.floor,
        "nearest_train_floor_99": share.floor_99,
        "copied": repeated[: len(x)].mean().item(),
        "copied_floor": repeated[len(x) :].mean().item(),
    }


def suspicions(metrics: Mapping[str, float], draws: int) -> list[str]:
    """A line for each sign that training points come back more often than chance explains.

    Args:
        metrics: From `copying`; without them there are no lines.
        draws: How many they were taken over.
    """
    if "copied" not in metrics:
        return []
    lines = []
    share, usual = metrics["nearest_train"], metrics["nearest_train_floor"]
    spread = (metrics["nearest_train_floor_99"] - usual) / ONE_PERCENT
    if share - usual > SURE * spread:
        lines.append(
            f"nearest_train = {share:.3f} where chance gives {usual:.3f} (memorisation_z = "
            f"{metrics['memorisation_z']:.1f}): draws keep to the training points, so the model "
            "repeats them, or these and the test points follow different laws"
        )
    share, usual = metrics["copied"], metrics["copied_floor"]
    both = (share + usual) / 2
    strange = usual < RARE or (usual < COMMON and share > 1 - (1 - usual) ** DENSE)
    if strange and share - usual > SURE * math.sqrt(2 * both * (1 - both) / draws):
        lines.append(
            f"copied = {share:.3f} where test points have {usual:.3f}: the model gives training points back "
            "as its draws"
        )
    return lines


def _contexts(test: Batch, train: Batch) -> Tensor | None:
    if test.context is None or train.context is None:
        return None
    return torch.cat((test.context, train.context))
