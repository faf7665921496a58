"""Whole experiments beside their own matrix products: a step, compiled too where that is done, and drawing.

A step is the trainer's own, with dropout, clipping, averaging, guard and AdamW. The limit is every matrix
product and convolution that one step, or one drawing, was seen to call, forward and backward, called again on
the same operands. All on one thread, in turns; medians over rounds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch.utils._python_dispatch import TorchDispatchMode

import train
from benchmarks.turns import medians
from flows.cli import CONF
from flows.core import Sampler
from flows.training.compiling import convolve
from flows.training.run import Run
from flows.training.trainer import Trainer

ROUNDS, SHARE = 7, 0.5  # seconds that a timing fills, if a call isn't longer
EXPERIMENTS = {
    "masked transformer": "xyrgb_transformer",
    "flow of mixtures": "xyrgb_mixture",
    "conditional fields": "grf_likelihood",
}
DRAWS, CASES = 5000, 16  # points, and contexts with one field each
aten = torch.ops.aten
PRODUCTS = {
    *(aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.convolution, aten.convolution_backward),
    *(
        aten._scaled_dot_product_flash_attention_for_cpu,
        aten._scaled_dot_product_flash_attention_for_cpu_backward,
    ),
}
Work = Callable[[], object]


class Ready(NamedTuple):
    """An experiment at its first turn."""

    trainer: Trainer
    run: Run
    model: Sampler


class Recorder(TorchDispatchMode):
    """Meanwhile every product is noted, with its operands."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Work] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket in PRODUCTS:
            self.calls.append(partial(function, *args, **(kwargs or {})))
        return function(*args, **(kwargs or {}))


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """Milliseconds by experiment and work."""
    torch.set_num_threads(1)
    chosen = [name for name in EXPERIMENTS if name in names] or list(EXPERIMENTS)
    return {name: _measure(name) for name in chosen}


def _measure(name: str) -> dict[str, float]:
    eager = _start(name)
    step, draw = partial(eager.trainer.take_turn, eager.run), _drawing(eager)
    work: dict[str, Work] = {
        "step": step,
        "step, products": _alone(step),
        "draws": draw,
        "draws, products": _alone(draw),
    }
    if not convolve(eager.run.nets):
        compiled = _start(name)
        compiled.run.fuse(compiled=True, captured=False)
        work["step, compiled"] = partial(compiled.trainer.take_turn, compiled.run)
    for do in work.values():
        do()  # which may compile
    found = medians({key: partial(_time, do) for key, do in work.items()}, ROUNDS)
    return {key: round(1e3 * seconds, 3) for key, seconds in found.items()}


def _start(name: str) -> Ready:
    told = (f"experiment={EXPERIMENTS[name]}", "runtime.device=cpu", "run_dir=none")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", [*told]), resolve=True)
    session = train.prepare(config)
    run = session.trainer.start(session.model, session.dataset, session.runtime, seed=0)
    run.steps = 10**6
    return Ready(session.trainer, run, session.model)


def _drawing(ready: Ready) -> Work:
    context = ready.run.prepare()[0].context
    n, given = (DRAWS, None) if context is None else (1, context[:CASES])

    def draw() -> object:
        ready.model.eval()
        try:
            return ready.model.sample(n, given)
        finally:
            ready.model.train()

    return draw


def _alone(work: Work) -> Work:
    """The products of a work."""
    with Recorder() as seen:
        work()

    @torch.no_grad()
    def products() -> None:
        for call in seen.calls:
            call()

    return products


def _time(work: Work) -> float:
    """Seconds a call, over as many as fill the share."""
    begin = time.perf_counter()
    work()
    calls = max(1, round(SHARE / (time.perf_counter() - begin)))
    begin = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - begin) / calls


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
