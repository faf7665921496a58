"""Steps of several contenders timed in turns, so that what else the machine does meets them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch


class Times(NamedTuple):
    """Milliseconds a step: medians over rounds by contender and threads, and at each one's best."""

    by_threads: dict[tuple[str, int], float]
    best: dict[str, float]


def in_turns(
    steps: Mapping[str, Any], time: Callable[[Any], float], rounds: int, threads: Sequence[int]
) -> Times:
    """Time each contender's step in every round, at every number of threads."""
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for count in threads:
            torch.set_num_threads(count)
            for name, step in steps.items():
                times.setdefault((name, count), []).append(time(step))
    medians = {key: statistics.median(values) for key, values in times.items()}
    return Times(medians, {name: min(medians[name, count] for count in threads) for name in steps})
