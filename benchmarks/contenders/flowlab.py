"""Ours: the trainer's own turn with all that it does, clipping, averaging, guard and logs."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from benchmarks.contenders.architecture import LR, Architecture
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.eager import scoring
from data.memory import InMemory
from flows.core import Flow, Spec
from flows.models.realnvp import realnvp
from flows.models.spline_coupling import spline_coupling
from flows.objectives import Likelihood
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer

MODES: dict[str, dict[str, Any]] = {"": {}}  # what the trainer is told besides
LOG_EVERY = 100


class Points:
    """A dataset of points without any law worth learning."""

    truth = None

    def __init__(self, x: torch.Tensor) -> None:
        self.spec = Spec(tuple(f"x{k}" for k in range(x.shape[1])), (x.shape[1],))
        self.all = InMemory(x)

    def source(self, part: str) -> InMemory:
        return self.all


def build(architecture: Architecture, mode: str) -> Contender:
    torch.manual_seed(0)
    dataset: Any = Points(torch.from_numpy(architecture.data()))
    model = flow(architecture, dataset.spec)
    optimizer = partial(torch.optim.AdamW, lr=LR, fused=True)
    trainer = Trainer(
        Likelihood(),
        optimizer,
        architecture.batch,
        max_steps=10**6,
        clip_norm=5.0,
        ema=0.999,
        **MODES[mode],
    )
    run = trainer.start(model, dataset, Runtime(device="cpu"), 0)
    run.steps = 10**6

    def step() -> None:
        trainer.take_turn(run)
        if run.step % LOG_EVERY == 0:
            run.means()
            run.diverged_at()

    return Contender(
        sum(p.numel() for p in model.parameters()),
        step,
        scoring(model.log_prob),
        lambda n: partial(model.sample, n),
    )


def flow(architecture: Architecture, spec: Spec) -> Flow:
    """The model of this architecture."""
    layers, width, depth = architecture.layers, architecture.width, architecture.depth
    if architecture.kind == "realnvp":
        return realnvp(spec, layers, width, depth)
    return spline_coupling(spec, layers, architecture.bins, width, depth, reach=architecture.reach)
