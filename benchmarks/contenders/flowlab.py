"""Ours: the trainer's own turn with clipping, averaging, guard and logs; it scores as evaluate.py does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.contenders.architecture import LR, Architecture
from benchmarks.contenders.contender import MEMBERS, Contender
from benchmarks.contenders.device import DEVICE, wait
from data.memory import InMemory
from flows.core import Batch, Flow, Spec
from flows.evaluation.blocks import log_prob, samples
from flows.models.realnvp import realnvp
from flows.models.spline_coupling import spline_coupling
from flows.objectives import Likelihood
from flows.sweeps.together import Together
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer

LOG_EVERY = 100
ON_GPU = DEVICE.type == "cuda"


class Points:
    """A dataset of points without any law worth learning."""

    truth = None

    def __init__(self, x: torch.Tensor) -> None:
        self.spec = Spec(tuple(f"x{k}" for k in range(x.shape[1])), (x.shape[1],))
        self.all = InMemory(x)

    def source(self, part: str) -> InMemory:
        return self.all


def build(architecture: Architecture, mode: str) -> Contender:
    """In any of its modes: "" and "compiled" are one run, "batched" and "batched, compiled" several."""
    dataset: Any = Points(torch.from_numpy(architecture.data()))
    members = MEMBERS if mode.startswith("batched") else 1
    runs = [_start(architecture, dataset, seed) for seed in range(members)]
    trainer, model, run = runs[0]
    if members > 1:
        turn = _together(runs, compiled="compiled" in mode)
    else:
        turn = partial(trainer.take_turn, run)
        if mode == "compiled" or ON_GPU:
            run.fuse(mode == "compiled", captured=ON_GPU)

    def step() -> None:
        turn()
        if run.step % LOG_EVERY == 0:
            for _, _, each in runs:
                each.means()
                each.diverged_at()

    draws = torch.Generator(DEVICE).manual_seed(0)
    return Contender(
        sum(p.numel() for p in model.parameters()),
        step,
        lambda x: partial(log_prob, model, Batch(torch.from_numpy(x).to(DEVICE))),
        lambda n: partial(samples, model, n, None, draws),
        wait,
        members,
    )


def _start(architecture: Architecture, dataset: Any, seed: int) -> tuple[Trainer, Flow, Run]:
    """A run at its first turn."""
    torch.manual_seed(seed)
    model = flow(architecture, dataset.spec)
    optimizer = partial(torch.optim.AdamW, lr=LR, fused=True)
    steps = 10**6
    trainer = Trainer(Likelihood(), optimizer, architecture.batch, max_steps=steps, clip_norm=5.0, ema=0.999)
    run = trainer.start(model, dataset, Runtime(DEVICE.type), seed)
    run.steps = steps
    return trainer, model, run


def _together(runs: Sequence[tuple[Trainer, Flow, Run]], compiled: bool) -> Callable[[], None]:
    """A turn of all."""
    joined = Together([run for _, _, run in runs], compiled, captured=ON_GPU)

    def turn() -> None:
        for trainer, _, run in runs:
            trainer.pace(run)
        for (_, _, run), found in zip(runs, joined.backward(range(len(runs))), strict=True):
            run.end_turn(*found)

    return turn


def flow(architecture: Architecture, spec: Spec) -> Flow:
    """The model of this architecture."""
    layers, width, depth = architecture.layers, architecture.width, architecture.depth
    if architecture.kind == "realnvp":
        return realnvp(spec, layers, width, depth)
    return spline_coupling(spec, layers, architecture.bins, width, depth, reach=architecture.reach)
