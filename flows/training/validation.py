"""Scores on held-out data."""

from __future__ import annotations

import math
from typing import final

import torch

from flows.core import Batch, Dataset, Density, Source
from flows.lattice import dequantise
from flows.signals import stop_if_asked
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.thinned import thinned

NUMBERS = 2**20  # most in a block


@final
class Validation:
    """Means of the objective's scores over the validation part, and KL to the truth where it is known.

    Of more than 65,536 examples, or fewer large fields, only as many are scored, evenly spread and always the
    same, so that a look takes the same time whatever the size of the data.

    Args:
        dataset: Gives the examples and the truth.
        runtime: Where and in which precision to score.
        seed: Of the objective's noise, the same at each call.
        block: Most examples at once; fewer if they are large.
    """

    def __init__(self, dataset: Dataset, runtime: Runtime, seed: int = 0, block: int = 8192) -> None:
        source = dataset.source("val")
        self.source: Source | _Kept | None = None
        self.seed = seed
        self.block = max(1, min(block, NUMBERS // math.prod(dataset.spec.shape)))
        self.floor: float | None = None
        if source is None:
            return
        places = thinned(len(source), dataset.spec)
        moved = source.to(runtime.device, runtime.dtype)
        self.source = moved if isinstance(places, slice) else _Kept(moved.take(places))
        if dataset.truth is not None:
            batch = source.take(places)
            x = dequantise(batch.x, dataset.spec, torch.Generator().manual_seed(seed))
            self.floor = -_mean_log_prob(dataset.truth, batch._replace(x=x), self.block)

    @torch.no_grad()
    def __call__(self, run: Run) -> dict[str, float]:
        """Scores of the averaged weights; the first is what early stopping watches. Empty without data.

        Raises: Stopped if somebody asks for it meanwhile.
        """
        if self.source is None:
            return {}
        generator = torch.Generator(run.generator.device).manual_seed(self.seed)
        sums: dict[str, float] = {}
        with run.players["model"].averaged():
            for start in range(0, len(self.source), self.block):
                stop_if_asked()
                batch = run.spread(self.source.take(slice(start, start + self.block)), generator)
                noise = run.objective.noise("model", run.nets, batch, generator)
                for name, score in run.objective.validate(run.nets, batch, noise).items():
                    sums[name] = sums.get(name, 0.0) + float(score.double().sum())
        scores = {name: total / len(self.source) for name, total in sums.items()}
        if self.floor is not None and "nll" in scores:
            scores["kl_to_truth"] = scores["nll"] - self.floor
        return scores


@final
class _Kept:
    """Examples that are read once, and kept."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch.x)

    def take(self, index: slice) -> Batch:
        x, context = self.batch
        return Batch(x[index], None if context is None else context[index])


def _mean_log_prob(truth: Density, batch: Batch, block: int) -> float:
    total = 0.0
    for start in range(0, len(batch.x), block):
        stop_if_asked()
        total += float(truth.log_prob(*_Kept(batch).take(slice(start, start + block))).sum())
    return total / len(batch.x)
