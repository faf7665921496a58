"""How good a model's draws are, beside held-out and training points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from flows.core import Batch, Sampler, Spec
from flows.evaluation.duel import Duel, Units, duel, joint
from flows.evaluation.meaning import LISTED, distinct
from flows.evaluation.metrics import (
    classifier_accuracy,
    discrepancies,
    gaussian,
    histogram_kl,
    mmd,
    permutation_p,
    precision_recall,
    wasserstein,
)
from flows.signals import stop_if_asked

FEWEST = 20  # points on a side, below which nothing is said of draws
SIGMA = 0.1  # of `mmd`, in data units
MARGINAL = 2**18  # most numbers on a side that are sorted and counted
PERMUTED = 2048  # most points on a side of the permutation test
REDRAWS = 50  # of single coordinates
PAIR_REDRAWS, FEW_REDRAWS = 9, 3
DRAWS, PAIR_DRAWS = 9, 3  # of the model, over which a score is averaged …
ENOUGH = 10_000  # … while they are no more points than this: more points say enough by themselves


class Statistic(NamedTuple):
    """Scores of at most `limit` real points and as many draws.

    The model's is the mean over `draws`, the floor that over `redraws` of what a perfect model makes.
    """

    score: Callable[[Tensor, Tensor], dict[str, float]]
    limit: int
    redraws: int
    draws: int = 1

    def of(self, real: Tensor, drawn: Tensor) -> dict[str, float]:
        return self.score(real[: self.limit], drawn[: self.limit])


def judge(
    model: Sampler,
    truth: Sampler | None,
    spec: Spec,
    test: Batch,
    train: Batch | None,
    generator: torch.Generator,
    pairs: int = 4096,
) -> dict[str, float]:
    """Draws against test points, `key`, and against training points, `key_train`.

    `duel` says what is drawn and what floors are made of. Scores of single coordinates are the mean over
    up to nine draws of the model, MMD and energy distance over three: one alone is mostly noise.
    `key_floor` is the mean of fifty redraws for single coordinates, whose 99th percentile is
    `key_floor_99`; of nine for MMD and energy distance, of three for precision and recall, and one for the
    classifier, as these cost more.
    `key_train_floor` is there only where sizes differ from those of `key_floor`.

    Energy distance, `mmd_median`, precision and recall see each column in standard deviations of the
    training points (of the test points, if there are none); `mmd`, KL and W1 are in data units. `mmd` has
    the fixed σ = 0.1, so it is there only where each feature's support has a width of ½ to 2. Single
    coordinates bear their names; mean and worst are there too where they are more than eight, and alone
    where names would make keys ambiguous.

    Nothing is compared, and {} returned, with fewer than 20 points on a side. Nor if a draw isn't finite:
    then `lost_draws` is the share of those.

    Args:
        model: What is judged, on the CPU.
        truth: The law of the real points, on a lattice of dequantised ones, or None.
        spec: What a point is.
        test: Held-out points, on the lattice if there is one.
        train: Training points, likewise, or None.
        generator: Of every draw.
        pairs: Most points on a side of what costs a square of them, or a classifier.
    """
    parts = {"": test} if train is None else {"": test, "_train": train}
    real = [joint(part) for part in parts.values()]
    if any(len(each) < FEWEST for each in real):
        return {}
    units = Units.of(real[-1], generator)
    statistics = _statistics(spec, test.x[0].numel(), units, pairs, generator)
    limit = max(statistic.limit for statistic in statistics)
    duels = {
        suffix: duel(model, truth, spec, part, torch.cat(real), limit, ENOUGH, DRAWS, generator)
        for suffix, part in parts.items()
    }
    if any(len(each.real) < FEWEST for each in duels.values()):  # halves may be too few
        return {}
    lost = torch.cat([drawn.isnan().any(1) for each in duels.values() for drawn in each.drawn])
    if lost.any():
        return {"lost_draws": lost.double().mean().item()}
    found: dict[str, float] = {}
    for suffix, each in duels.items():
        found |= {f"{key}{suffix}": value for key, value in _scores(each, statistics).items()}
        differ = [s for s in statistics if min(len(each.real), s.limit) != min(len(duels[""].real), s.limit)]
        found |= _floors(each, differ if suffix else statistics, suffix)
    return found


def _scores(duel: Duel, statistics: Sequence[Statistic]) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for statistic in statistics:
        for drawn in duel.drawn[: statistic.draws]:
            stop_if_asked()
            for key, value in statistic.of(duel.real, drawn).items():
                scores[key].append(value)
    return {key: fmean(values) for key, values in scores.items()}


def _floors(duel: Duel, statistics: Sequence[Statistic], suffix: str) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for redraw in range(max((statistic.redraws for statistic in statistics), default=0)):
        pair = duel.again()
        for statistic in statistics:
            if redraw < statistic.redraws:
                stop_if_asked()
                for key, value in statistic.of(*pair).items():
                    scores[f"{key}{suffix}_floor"].append(value)
    floors = {key: fmean(values) for key, values in scores.items()}
    for key, values in scores.items():
        if len(values) == REDRAWS:
            floors[f"{key}_99"] = torch.tensor(values).quantile(0.99).item()
    return floors


def _statistics(
    spec: Spec, features: int, units: Units, pairs: int, generator: torch.Generator
) -> list[Statistic]:
    """In the order in which they are read."""

    def fixed(real: Tensor, drawn: Tensor) -> dict[str, float]:
        return {"mmd": mmd(real, drawn, SIGMA)}

    def spread(real: Tensor, drawn: Tensor) -> dict[str, float]:
        found = discrepancies(units(real), units(drawn), [gaussian(units.median), torch.neg])
        return dict(zip(("mmd_median", "sample_energy_distance"), found, strict=True))

    def chance(real: Tensor, drawn: Tensor) -> dict[str, float]:
        return {"mmd_median_p": permutation_p(units(real), units(drawn), units.median, generator)}

    def classifier(real: Tensor, drawn: Tensor) -> dict[str, float]:
        return {"c2st": classifier_accuracy(real, drawn, generator)}

    def manifold(real: Tensor, drawn: Tensor) -> dict[str, float]:
        return precision_recall(units(real), units(drawn))._asdict()

    def marginals(real: Tensor, drawn: Tensor) -> dict[str, float]:
        pair = real[:, :features], drawn[:, :features]
        each = {"w1": wasserstein(*pair), "kl": histogram_kl(*pair)}
        named = len(spec.names) == features and distinct(spec.names, ("_mean", "_worst", "_to_truth"))
        found = {}
        if not named or features > 1:
            found = {f"{key}_mean": fmean(values) for key, values in each.items()}
        if not named or features > LISTED:
            found |= {f"{key}_worst": max(values) for key, values in each.items()}
        if named:
            found |= {
                f"{key}_{name}": value
                for key, values in each.items()
                for name, value in zip(spec.names, values, strict=True)
            }
        return found

    return [
        *([Statistic(fixed, pairs, PAIR_REDRAWS, PAIR_DRAWS)] if _about_unit(spec) else []),
        Statistic(spread, pairs, PAIR_REDRAWS, PAIR_DRAWS),
        Statistic(chance, min(pairs, PERMUTED), 0),
        Statistic(classifier, pairs, 1),
        Statistic(manifold, pairs, FEW_REDRAWS),
        Statistic(marginals, max(MARGINAL // features, FEWEST), REDRAWS, DRAWS),
    ]


def _about_unit(spec: Spec) -> bool:
    """Whether the σ of `mmd` is a small part of each feature's range, though not too small."""
    ends = [spec.ends(feature) for feature in range(len(spec.names))]
    return all(0.5 <= high - low <= 2 for low, high in ends)
