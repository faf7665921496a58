"""Time a training step of each contender, interleaved; medians over rounds, each at its best thread count."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from benchmarks.contenders import CONTENDERS, Step

ROUNDS, STEPS, WARM, THREADS = 9, 150, 40, (1, 2)


def measure() -> dict[str, Any]:
    """Milliseconds a step by contender, and each as a ratio of ours."""
    torch.manual_seed(0)
    data = torch.randn(30_000, 2)
    steps = {name: make(data) for name, make in CONTENDERS.items()}
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for threads in THREADS:
            torch.set_num_threads(threads)
            for name, step in steps.items():
                times.setdefault((name, threads), []).append(_time(step))
    medians = {key: statistics.median(values) for key, values in times.items()}
    best = {name: min(medians[name, threads] for threads in THREADS) for name in steps}
    return {
        "milliseconds": {name: round(value, 3) for name, value in best.items()},
        "flowlab_as_fraction_of": {
            name: round(best["flowlab"] / value, 3) for name, value in best.items() if name != "flowlab"
        },
        "by_threads": {f"{name}, {threads}": round(value, 3) for (name, threads), value in medians.items()},
    }


def _time(step: Step) -> float:
    for k in range(WARM):
        step(k)
    begin = time.perf_counter()
    for k in range(STEPS):
        step(k)
    return (time.perf_counter() - begin) / STEPS * 1e3


if __name__ == "__main__":
    import json

    print(json.dumps(measure(), indent=1))
