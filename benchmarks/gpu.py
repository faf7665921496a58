"""Training steps on a GPU: ours plain and captured, alone and in batches, and beside the peers.

`python -m benchmarks.gpu` needs a GPU, and the peers of benchmarks/requirements.txt
with builds of torch and jax for it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import train
from benchmarks import steps
from benchmarks.contenders.device import VARIABLE
from benchmarks.turns import medians
from benchmarks.worker import ROOT
from flows.sweeps.together import Together
from flows.training.run import Run
from flows.training.trainer import Trainer

ROUNDS, SHARE = 5, 0.2  # rounds; seconds of each reading
MEMBERS = (1, 16, 64)
NOT_HERE = ("batched", "batched, compiled")
EXPERIMENTS = {
    "RealNVP on moons": (),
    "spline couplings on moons": ("model=spline_coupling",),
    "masked transformer": ("experiment=xyrgb_transformer",),
    "fields, likelihood": ("experiment=grf_likelihood",),
    "fields, WGAN-GP": ("experiment=grf_wgan",),
}
Timers = dict[str, Callable[[], float]]


def measure() -> dict[str, Any]:
    """Milliseconds of a training step."""
    found: dict[str, Any] = {"card": torch.cuda.get_device_name(), "experiments": {}}
    for name, told in EXPERIMENTS.items():
        timers: Timers = {
            way: _timer(partial(_step, *_start(told, 0, captured)))
            for way, captured in {"plain": False, "captured": True}.items()
        }
        found["experiments"][name] = _milliseconds(timers)
        print(name, found["experiments"][name], flush=True)
    batches = {str(members): _timer(_batch(members)) for members in MEMBERS}
    found["members"] = _milliseconds(batches)
    print(found["members"], flush=True)
    apart = {VARIABLE: "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # JAX would take all memory
    with mock.patch.dict(os.environ, apart):
        return found | {"steps": steps.measure(["step"], NOT_HERE, ROUNDS)}


def _start(told: tuple[str, ...], seed: int, captured: bool) -> tuple[Trainer, Run]:
    keys = (*told, "runtime=cuda", "run_dir=none", f"seed={seed}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", [*keys]), resolve=True)
    session = train.prepare(config)
    run = session.trainer.start(session.model, session.dataset, session.runtime, seed)
    run.steps = 10**6
    if captured:
        run.fuse(compiled=False, captured=True)
    return session.trainer, run


def _step(trainer: Trainer, run: Run) -> None:
    """All turns of one step."""
    for _ in range(len(run.objective.cycle)):
        trainer.take_turn(run)


def _batch(members: int) -> Callable[[], None]:
    """A step of so many members."""
    all_of = [_start((), seed, captured=members == 1) for seed in range(members)]
    if members == 1:
        return partial(_step, *all_of[0])
    together = Together([run for _, run in all_of], captured=True)

    def step() -> None:
        for trainer, run in all_of:
            trainer.pace(run)
        for (_, run), found in zip(all_of, together.backward(range(members)), strict=True):
            run.end_turn(*found)

    return step


def _timer(work: Callable[[], None]) -> Callable[[], float]:
    for _ in range(5):  # the first few prepare what the others use
        work()

    def seconds() -> float:
        calls, begin = 0, _now()
        while calls < 3 or time.perf_counter() - begin < SHARE:
            work()
            calls += 1
        return (_now() - begin) / calls

    return seconds


def _now() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def _milliseconds(timers: Timers) -> dict[str, float]:
    return {name: round(1e3 * seconds, 3) for name, seconds in medians(timers, ROUNDS).items()}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
