"""Time a training step of each contender, interleaved; medians over rounds, each at its best thread count."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.contenders import CONTENDERS, Step
from benchmarks.turns import in_turns

ROUNDS, STEPS, WARM, THREADS = 9, 150, 40, (1, 2)


def measure() -> dict[str, Any]:
    """Milliseconds a step by contender, and each as a ratio of ours."""
    torch.manual_seed(0)
    data = torch.randn(30_000, 2)
    steps = {name: make(data) for name, make in CONTENDERS.items()}
    medians, best = in_turns(steps, _time, ROUNDS, THREADS)
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
