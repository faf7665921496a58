"""Contenders timed in turns, so that what else the machine does meets them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

Key = TypeVar("Key")


class Times(NamedTuple):
    """Milliseconds a step: medians over rounds by contender and threads, and at each one's best."""

    by_threads: dict[tuple[str, int], float]
    best: dict[str, float]


def medians(timers: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """Read each timer once a round; the median of what each said."""
    times: dict[Key, list[float]] = {key: [] for key in timers}
    for _ in range(rounds):
        for key, timer in timers.items():
            times[key].append(timer())
    return {key: statistics.median(values) for key, values in times.items()}


def in_turns(
    steps: Mapping[str, Any], time: Callable[[Any], float], rounds: int, threads: Sequence[int]
) -> Times:
    """Time each contender's step in every round, at every number of threads, in this process."""

    def timer(name: str, count: int) -> Callable[[], float]:
        def read() -> float:
            torch.set_num_threads(count)
            return time(steps[name])

        return read

    found = medians({(name, count): timer(name, count) for count in threads for name in steps}, rounds)
    return Times(found, {name: min(found[name, count] for count in threads) for name in steps})
