"""All the numbers of one density on one dataset."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from flows.core import Batch, Dataset, Density, Flow
from flows.evaluation.blocks import examples, latent, log_prob, samples, some_contexts, spread
from flows.evaluation.metrics import (
    bootstrap,
    disjoint_halves,
    energy_distance,
    floor,
    gaussian_distance,
    sample_chi2,
    truth_ratio,
)


class Measured(NamedTuple):
    """Flat metrics by name, and one line for each that only a bug explains."""

    metrics: dict[str, float]
    warnings: list[str]


def measure(
    density: Density, dataset: Dataset, seed: int = 0, points: int = 100_000, pairs: int = 4096
) -> Measured:
    """Judge a density on the test part: likelihood, distance to the truth, latent, draws.

    `..._low` and `..._high` bound a mean (95 %, bootstrap); `..._floor` is what a perfect model would
    score at the same sample size.

    Args:
        density: The model, on the CPU.
        dataset: Where the test part comes from; its truth, if known, gives the floors.
        seed: Of every draw made here.
        points: Most test points used.
        pairs: Most points on each side of an energy distance, whose cost is quadratic.

    Raises: UserError if the dataset has neither a test part nor a truth.
    """
    generator = torch.Generator().manual_seed(seed)
    test = examples(dataset, "test", points, generator)
    metrics = {"test_points": float(len(test.x))}
    metrics |= _likelihood(density, dataset.truth, test, generator)
    if isinstance(density, Flow):
        metrics |= _gaussianity(density, test, pairs, generator)
    if len(test.x) > 1:
        metrics |= _distance(density, test, pairs, generator)
    if len(dataset.spec.shape) == 1 and dataset.spec.shape[0] <= 2 and not any(dataset.spec.quantum or ()):
        metrics["sample_chi2_p"] = sample_chi2(density, some_contexts(test.context), generator).p
    if dataset.truth is not None:
        metrics |= truth_ratio(density, dataset.truth, test.context, generator).flat("truth_ratio")
    return Measured(metrics, _warnings(metrics))


def _likelihood(
    density: Density, truth: Density | None, test: Batch, generator: torch.Generator
) -> dict[str, float]:
    log_p = log_prob(density, test)
    metrics = bootstrap(-log_p, generator).flat("nll")
    if truth is None:
        return metrics
    log_truth = log_prob(truth, test)
    # Point by point, so that the scatter of the truth's own entropy cancels.
    kl = bootstrap(log_truth - log_p, generator)
    return metrics | {"nll_floor": -log_truth.mean().item()} | kl.flat("kl_to_truth")


def _gaussianity(flow: Flow, test: Batch, pairs: int, generator: torch.Generator) -> dict[str, float]:
    distance, least = gaussian_distance(latent(flow, _some(test, pairs)), generator)
    return {"latent_energy_distance": distance, "latent_energy_distance_floor": least}


def _distance(density: Density, test: Batch, pairs: int, generator: torch.Generator) -> dict[str, float]:
    """Draws against test points, joined to their contexts, each column in its standard deviations."""
    few = _some(test, 2 * pairs)
    joint = _joint(few)
    mean, std = joint.mean(0), joint.std(0).clamp(min=1e-12)
    real = (joint - mean) / std

    def halves(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        one, other = disjoint_halves(len(real), generator)
        return real[one], real[other]

    given, kept = disjoint_halves(len(real), generator)
    contexts = None if few.context is None else few.context[given]
    drawn = Batch(samples(density, len(given), contexts, generator), contexts)
    distance = energy_distance((_joint(drawn) - mean) / std, real[kept])
    return {"sample_energy_distance": distance, "sample_energy_distance_floor": floor(halves, generator)}


def _joint(batch: Batch) -> Tensor:
    parts = [batch.x] if batch.context is None else [batch.x, batch.context]
    return torch.cat([part.double().flatten(1) for part in parts], dim=1)


def _some(batch: Batch, limit: int) -> Batch:
    places = spread(len(batch.x), limit)
    return Batch(batch.x[places], None if batch.context is None else batch.context[places])


def _warnings(metrics: dict[str, float]) -> list[str]:
    lines = []
    if metrics.get("kl_to_truth_high", 0.0) < 0:
        lines.append(
            f"kl_to_truth = {metrics['kl_to_truth']:.4f} lies significantly below 0: no model is better than "
            "the truth, so the model's log_prob or the dataset's truth is wrong"
        )
    if metrics.get("sample_chi2_p", 1.0) < 1e-3:
        lines.append(
            f"sample_chi2_p = {metrics['sample_chi2_p']:.1e}: the model doesn't draw from the density it "
            "claims, so its sample or its log_prob is wrong"
        )
    if not abs(metrics["nll"]) < float("inf"):
        lines.append("nll is not finite: the model gives some test points no likelihood at all")
    return lines
