"""A seed for each thing that a run draws, so that no two of them, of this run or the next, draw the same."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Drawn = Literal["weights", "players", "units", "order", "noise"]


def seed_of(drawn: Drawn, seed: int) -> int:
    """What to seed a generator with; practically never equal for two runs, nor to what a dataset draws from.

    Args:
        drawn: The model's first weights, those of other players, the lattice's spread that units are fitted
            to, the order of examples, or the noise of steps.
        seed: The run's.

    >>> len({seed_of(drawn, seed) for drawn in ("order", "noise") for seed in range(100)})
    200
    """
    key = get_args(Drawn).index(drawn)
    return int(np.random.SeedSequence(seed, spawn_key=(key,)).generate_state(1)[0])
