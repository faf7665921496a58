"""Scores on held-out data."""

from __future__ import annotations

import math
from typing import final

import torch

from flows.core import Dataset
from flows.lattice import dequantise
from flows.training.run import Run
from flows.training.runtime import Runtime

NUMBERS = 2**20  # most in a block


@final
class Validation:
    """Means of the objective's scores over the validation part, and KL to the truth where it is known.

    Args:
        dataset: Gives the examples and the truth.
        runtime: Where and in which precision to score.
        seed: Of the objective's noise, the same at each call.
        block: Most examples at once; fewer if they are large.
    """

    def __init__(self, dataset: Dataset, runtime: Runtime, seed: int = 0, block: int = 8192) -> None:
        source = dataset.source("val")
        self.source = None if source is None else source.to(runtime.device, runtime.dtype)
        self.seed = seed
        self.block = max(1, min(block, NUMBERS // math.prod(dataset.spec.shape)))
        self.floor: float | None = None
        if source is not None and dataset.truth is not None:
            batch = source.take(slice(None))
            x = dequantise(batch.x, dataset.spec, torch.Generator().manual_seed(seed))
            self.floor = -float(dataset.truth.log_prob(x, batch.context).mean())

    @torch.no_grad()
    def __call__(self, run: Run) -> dict[str, float]:
        """Scores of the averaged weights; the first is what early stopping watches. Empty without data."""
        if self.source is None:
            return {}
        generator = torch.Generator(run.generator.device).manual_seed(self.seed)
        sums: dict[str, float] = {}
        with run.players["model"].averaged():
            for start in range(0, len(self.source), self.block):
                batch = run.spread(self.source.take(slice(start, start + self.block)), generator)
                noise = run.objective.noise("model", run.nets, batch, generator)
                for name, score in run.objective.validate(run.nets, batch, noise).items():
                    sums[name] = sums.get(name, 0.0) + float(score.double().sum())
        scores = {name: total / len(self.source) for name, total in sums.items()}
        if self.floor is not None and "nll" in scores:
            scores["kl_to_truth"] = scores["nll"] - self.floor
        return scores
