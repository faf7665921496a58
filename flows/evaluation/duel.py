"""What is compared with what: real points, as many draws, and both again as a perfect model makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from flows.core import Batch, Sampler, Spec
from flows.evaluation.blocks import samples
from flows.evaluation.metrics import median_distance
from flows.lattice import quantise

MEDIAN_OF = 1000


class Duel(NamedTuple):
    """Real points (n, D + C), and several times as many draws, x and context side by side, in random order.

    `again` makes such a pair of real points and what a perfect model could have drawn.
    """

    real: Tensor
    drawn: list[Tensor]
    again: Callable[[], tuple[Tensor, Tensor]]


class Units(NamedTuple):
    """What distances are measured in: each column's standard deviation, and then their median."""

    mean: Tensor
    std: Tensor
    median: float

    @classmethod
    def of(cls, points: Tensor, generator: torch.Generator) -> Self:
        """Of points (N, D), the median over pairs of a thousand of them; a constant column keeps its unit.

        >>> Units.of(torch.zeros(5, 2), torch.Generator()).std.shape
        torch.Size([2])
        """
        mean, std = points.mean(0), points.std(0)
        std = torch.where(std > 1e-12 * mean.abs(), std, 1.0)
        some = points[torch.randperm(len(points), generator=generator)[:MEDIAN_OF]]
        return cls(mean, std, median_distance((some - mean) / std))

    def __call__(self, points: Tensor) -> Tensor:
        return (points - self.mean) / self.std


def joint(batch: Batch) -> Tensor:
    """x and context side by side, float64 (N, D + C)."""
    parts = [batch.x] if batch.context is None else [batch.x, batch.context]
    return torch.cat([part.double().cpu().flatten(1) for part in parts], dim=1)


def draw(sampler: Sampler, spec: Spec, n: int, contexts: Tensor | None, generator: torch.Generator) -> Tensor:
    """n draws, `joint` with their contexts, on the lattice as data is; NaN where a draw isn't finite."""
    x = samples(sampler, n, contexts, generator)
    x = torch.where(x.isfinite(), quantise(x, spec), torch.nan)
    return joint(Batch(x, contexts))


def duel(
    model: Sampler,
    truth: Sampler | None,
    spec: Spec,
    part: Batch,
    pool: Tensor,
    limit: int,
    enough: int,
    most: int,
    generator: torch.Generator,
) -> Duel:
    """Draws of the model against one part of the data.

    Without context, all of the part is compared with, up to the limit. With context it is split in two
    random halves: draws are made under the contexts of one and compared with the other.

    A perfect model's draws are the truth's, made as the model's were, against the same real points. Where
    the truth isn't known they are real points themselves, and so is what they are compared with: random
    disjoint subsets of the pool, with context of the part. There sizes are cut to half of that, if need
    be, so that they are always equal.

    Args:
        model: What is judged.
        truth: The law of the real points, or None.
        spec: What a point is.
        part: The real points, on the lattice if there is one.
        pool: All real points of the same law, `joint`; the part's are among them.
        limit: Most points on a side.
        enough: Points to draw in all: as often as they allow, once at least, under the same contexts …
        most: … and so many times at most.
        generator: Of every draw.
    """
    own = joint(part)
    stock = pool if part.context is None else own
    n = min(len(own), limit)
    if truth is None or part.context is not None:
        n = min(n, len(stock) // 2)
    order = torch.randperm(len(own), generator=generator)
    real = own[order[:n]]
    contexts = None if part.context is None else part.context[order[n : 2 * n]]

    def again() -> tuple[Tensor, Tensor]:
        if truth is not None:
            return real, draw(truth, spec, n, contexts, generator)
        shuffled = torch.randperm(len(stock), generator=generator)
        return stock[shuffled[:n]], stock[shuffled[n : 2 * n]]

    times = max(1, min(most, enough // max(1, n)))
    return Duel(real, [draw(model, spec, n, contexts, generator) for _ in range(times)], again)
