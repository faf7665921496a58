"""How the learning rate moves over a run."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Decay = Literal["cosine", "constant"]


class Schedule(NamedTuple):
    """A linear warm-up, then a decay to zero, as a factor of the optimizer's learning rate.

    Args:
        decay: "cosine" or "constant".
        warmup: Steps until the full rate.

    References: Loshchilov and Hutter 2017, SGDR: stochastic gradient descent with warm restarts,
        arXiv:1608.03983.

    >>> [round(Schedule("cosine", 2)(step, 6), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """

    decay: Decay
    warmup: int

    def __call__(self, step: int, steps: int) -> float:
        """Factor of the step-th of all steps, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.decay == "constant":
            return 1.0
        return 0.5 + 0.5 * math.cos(math.pi * (step - self.warmup) / max(1, steps - self.warmup))
