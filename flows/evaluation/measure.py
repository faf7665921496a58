"""All the numbers of one model on one dataset."""

from __future__ import annotations

import math
from itertools import permutations
from typing import NamedTuple

import torch

from flows.core import AnySubset, Batch, Dataset, Density, Flow, Sampler, Spec
from flows.evaluation.blocks import conditionals, every, examples, latent, log_prob, some_contexts
from flows.evaluation.copying import copying, suspicions
from flows.evaluation.ensembles import MEMBERS, judge_fields
from flows.evaluation.holes import there
from flows.evaluation.judge import FEWEST, judge
from flows.evaluation.meaning import PARTS
from flows.evaluation.metrics import bootstrap, gaussian_distance, sample_chi2, truth_ratio
from flows.lattice import dequantise, log_cell, quantise
from flows.training.thinned import evenly

POINTS = 100_000  # most of a part that are used
PAIRS = 4096  # most on each side of what costs a square of them
SEARCHED = 100_000  # most training points among which the nearest is looked for
DRAWN = 2**21  # numbers of all fields drawn to compare densities: the ratio's tail wants many
ORDERS, ORDERED = 24, 1000  # most orders of many features, and most points that they are tried on


class Measured(NamedTuple):
    """Flat metrics by name, and one line for each that only a bug, or copying, explains."""

    metrics: dict[str, float]
    warnings: list[str]


def measure(
    model: Sampler,
    dataset: Dataset,
    seed: int = 0,
    points: int = POINTS,
    pairs: int = PAIRS,
    n_members: int = MEMBERS,
) -> Measured:
    """Judge a model on the test part: likelihood, distance to the truth, draws, memory, latent.

    What needs a likelihood is left out where the model has none. On a lattice it is that of points spread
    over their cells, the same for the model and the truth; draws are moved onto the lattice before they
    are compared with data.

    `..._low` and `..._high` bound a mean (95 %, bootstrap); `..._floor` is what a perfect model would
    score at the same sample size, `..._train` is the same against training points. `meaning` tells them
    all, `judge` how draws are compared.

    Args:
        model: On the CPU.
        dataset: Where test and training part come from; its truth, if known, gives the floors.
        seed: Of every draw made here.
        points: Most points of a part that are used.
        pairs: Most points on each side of what costs a square of them, copies and latents too; 20 at least.
        n_members: Draws for each case of fields, two at least.

    Raises: UserError if the dataset has neither a test part nor a truth.
    """
    generator = torch.Generator().manual_seed(seed)
    spec, truth = dataset.spec, dataset.truth
    test, train = examples(dataset, "test", points, generator), None
    source = dataset.source("train")
    if source is not None:
        train = examples(dataset, "train", points, generator)
    metrics = {"test_points": float(len(test.x))}
    if len(spec.shape) == 3:
        return _fields(model, dataset, test, train, metrics, generator, n_members)
    cells = _cells(test, spec, generator)
    if isinstance(model, Density):
        metrics |= _likelihood(model, truth, cells, generator)
        if train is not None:
            metrics |= _on_training(model, truth, _cells(train, spec, generator))
        metrics |= _bits(metrics, spec)
    if isinstance(model, AnySubset):
        metrics["nll_order_spread"] = _order_spread(model, _some(cells, ORDERED), generator)
    test, train = _corners(test, spec), None if train is None else _corners(train, spec)
    metrics |= judge(model, truth, spec, test, train, generator, pairs)
    if source is not None and "c2st" in metrics:
        searched = _corners(examples(dataset, "train", SEARCHED, generator), spec)
        known = (_corners(batch, spec).x for batch in every(source))
        metrics |= copying(model, truth, spec, test, searched, known, generator, pairs)
    if isinstance(model, Flow):
        metrics |= _gaussianity(model, _some(cells, pairs), generator)
    if isinstance(model, Density):
        if len(spec.shape) == 1 and spec.shape[0] <= 2 and not any(spec.quantum or ()):
            metrics["sample_chi2_p"] = sample_chi2(model, some_contexts(test.context), generator).p
        if truth is not None:
            metrics |= truth_ratio(model, truth, test.context, generator).flat("truth_ratio")
    return Measured(metrics, _warnings(metrics) + suspicions(metrics, min(len(test.x), pairs)))


def _fields(
    model: Sampler,
    dataset: Dataset,
    test: Batch,
    train: Batch | None,
    metrics: dict[str, float],
    generator: torch.Generator,
    n_members: int,
) -> Measured:
    """What is measured of fields: likelihood, in all and by cell and channel, and ensembles."""
    mask = there(dataset.spec)
    truth, size = dataset.truth, math.prod(dataset.spec.shape) if mask is None else int(mask.sum())
    if isinstance(model, Density):
        metrics |= _likelihood(model, truth, test, generator)
        for whole, each in (("nll", "nll_per_dim"), ("kl_to_truth", "nll_gap")):
            ends = [end for end in ("", "_low", "_high", "_floor") if f"{whole}{end}" in metrics]
            metrics |= {f"{each}{end}": metrics[f"{whole}{end}"] / size for end in ends}
        if truth is not None and metrics["kl_to_truth"] < 1:  # farther off, a few draws carry the mean
            drawn = min(20_000, DRAWN // size)
            metrics |= truth_ratio(model, truth, test.context, generator, n=drawn).flat("truth_ratio")
    pool = test.x if train is None else train.x
    metrics |= judge_fields(model, truth, dataset.spec, test, pool, generator, n_members)
    return Measured(metrics, _warnings(metrics))


def _cells(batch: Batch, spec: Spec, generator: torch.Generator) -> Batch:
    """Points as a density sees them: on a lattice spread over their cells."""
    return batch._replace(x=dequantise(_corners(batch, spec).x, spec, generator))


def _corners(batch: Batch, spec: Spec) -> Batch:
    """Points as data has them; draws of a truth are spread over cells, and rounding is undone."""
    return batch._replace(x=quantise(batch.x.double().cpu(), spec))


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


def _on_training(density: Density, truth: Density | None, train: Batch) -> dict[str, float]:
    nll = {"nll_train": -log_prob(density, train).mean().item()}
    return nll if truth is None else nll | {"nll_train_floor": -log_prob(truth, train).mean().item()}


def _bits(metrics: dict[str, float], spec: Spec) -> dict[str, float]:
    """bits_per_dim and its parts, where all features lie on a lattice."""
    volume = log_cell(spec)
    if volume is None:
        return {}
    nats = {
        part: metrics[f"nll{part}"] for part in ("", *(f"_{p}" for p in PARTS)) if f"nll{part}" in metrics
    }
    scale = len(spec.names) * math.log(2)
    return {f"bits_per_dim{part}": (value - volume) / scale for part, value in nats.items()}


def _order_spread(density: AnySubset, test: Batch, generator: torch.Generator) -> float:
    """How far apart the orders' mean log-likelihoods are: all orders of up to five features, else 24."""
    features = test.x.shape[1]
    if features <= 5:
        orders = torch.tensor([*permutations(range(features))])
    else:
        orders = torch.stack([torch.randperm(features, generator=generator) for _ in range(ORDERS)])
    ranks = orders.argsort(1)
    given = ranks.unsqueeze(1) < ranks.unsqueeze(2)  # by order, feature, and which features it is given
    # Orders share most of their terms: each is asked for once.
    terms = [given[:, feature].unique(dim=0, return_inverse=True) for feature in range(features)]
    calls = max(len(sets) for sets, _ in terms)
    asked = torch.stack([sets[torch.arange(calls) % len(sets)] for sets, _ in terms], 1)
    means = torch.stack([conditionals(density, test, each).mean(0) for each in asked])
    total = torch.stack([means[place, feature] for feature, (_, place) in enumerate(terms)]).sum(0)
    return (total.max() - total.min()).item()


def _gaussianity(flow: Flow, test: Batch, generator: torch.Generator) -> dict[str, float]:
    distance, least = gaussian_distance(latent(flow, test), generator)
    return {"latent_energy_distance": distance, "latent_energy_distance_floor": least}


def _some(batch: Batch, limit: int) -> Batch:
    places = evenly(len(batch.x), limit)
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
    if not abs(metrics.get("nll", 0.0)) < float("inf"):
        lines.append("nll is not finite: the model gives some test points no likelihood at all")
    if "lost_draws" in metrics:
        lines.append(
            f"lost_draws = {metrics['lost_draws']:.1e}: this share of draws isn't finite, so not all "
            "comparisons with data were made; look for overflow in the model's sample"
        )
    elif not {"c2st", "crps"} & metrics.keys():
        lines.append(
            f"draws are not compared with data: that needs {FEWEST} test and training points or more"
        )
    return lines
