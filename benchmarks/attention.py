"""The masked transformer beside the matrix products that it needs: a training step, and 5,000 draws.

The default model on points of five features, batch 256. Both take turns; medians over rounds. A training step
is our trainer's own, with dropout, clipping, averaging, guard and AdamW; the products are those of the same
shapes alone, forward and, for the step, both of each one's gradients.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from data.xyrgb import xyrgb
from flows.models.masked_transformer import masked_transformer
from flows.objectives import Masked
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer

WIDTH, HEADS, LAYERS, HIDDEN, COMPONENTS, OCTAVES, ORDERS = 128, 4, 4, 4, 6, 6, 4
FEATURES, BATCH, DRAWS = 5, 256, 5000
ROUNDS, STEPS, THREADS = 7, 10, 1
Shape = tuple[int, int, int, int]  # how many products of (rows, inner) and (inner, columns)


def measure() -> dict[str, Any]:
    """Milliseconds of a step and of 5,000 draws, and of their products."""
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    dataset = xyrgb()
    model = masked_transformer(
        dataset.spec, WIDTH, HEADS, LAYERS, HIDDEN, components=COMPONENTS, octaves=OCTAVES, orders=ORDERS
    )
    optimizer = partial(torch.optim.AdamW, lr=1e-3, fused=True)
    trainer = Trainer(Masked(), optimizer, BATCH, max_steps=10**6, clip_norm=5.0, ema=0.999)
    run = trainer.start(model, dataset, Runtime(device="cpu"), seed=0)
    run.steps = 10**6
    work: dict[str, Callable[[], object]] = {
        "step": lambda: trainer.take_turn(run),
        "step, products": _products([*_scoring(BATCH)], backward=True),
        "draws": lambda: model.eval().sample(DRAWS),
        "draws, products": _products([*_drawing(DRAWS)], backward=False),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, do in work.items():
            model.train()
            repeats = STEPS if name.startswith("step") else 1
            do()
            begin = time.perf_counter()
            for _ in range(repeats):
                do()
            times[name].append((time.perf_counter() - begin) / repeats * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "milliseconds": {name: round(value, 2) for name, value in medians.items()},
        "ratio": {name: round(medians[name] / medians[f"{name}, products"], 3) for name in ("step", "draws")},
        "threads": THREADS,
    }


def _block(queries: int, memories: int, batch: int) -> Iterator[Shape]:
    """One layer: queries of each of a batch look at its memories, and think."""
    rows, share = batch * queries, WIDTH // HEADS
    yield from [(1, rows, WIDTH, WIDTH)] * 2
    yield (1, rows, WIDTH, HIDDEN * WIDTH)
    yield (1, rows, HIDDEN * WIDTH, WIDTH)
    yield (batch * HEADS, queries, share, memories)
    yield (batch * HEADS, queries, memories, share)


def _scoring(batch: int) -> Iterator[Shape]:
    """All conditionals of a batch, one pass."""
    yield (FEATURES, batch, 1 + 2 * OCTAVES, WIDTH)
    yield (1, batch * (FEATURES + 1), WIDTH, 2 * WIDTH * LAYERS)
    for _ in range(LAYERS):
        yield from _block(FEATURES, FEATURES + 1, batch)
    yield (FEATURES, batch, WIDTH, 4 * COMPONENTS)


def _drawing(n: int) -> Iterator[Shape]:
    """n draws, a feature at a time, an order for each quarter of them."""
    for _ in range(ORDERS):
        some = n // ORDERS
        for place in range(FEATURES):
            yield (1, some, WIDTH, 2 * WIDTH * LAYERS)
            for _ in range(LAYERS):
                yield from _block(1, place + 1, some)
            yield (1, some, WIDTH, 4 * COMPONENTS)
            if place < FEATURES - 1:
                yield (1, some, 1 + 2 * OCTAVES, WIDTH)


def _products(shapes: list[Shape], backward: bool) -> Callable[[], None]:
    operands = [(torch.randn(k, a, b), torch.randn(k, b, c), torch.randn(k, a, c)) for k, a, b, c in shapes]

    @torch.no_grad()
    def multiply() -> None:
        for left, right, result in operands:
            torch.matmul(left, right)
            if backward:
                torch.matmul(result, right.mT)
                torch.matmul(left.mT, result)

    return multiply


if __name__ == "__main__":
    import json

    print(json.dumps(measure(), indent=1))
