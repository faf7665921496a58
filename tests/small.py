"""A small run, for tests of training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from data.toy import Toy
from data.toys import moons
from flows.models.realnvp import realnvp
from flows.objectives import Likelihood, Objective
from flows.training.monitor import Logger, Monitor
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer
from flows.training.validation import Validation

RUNTIME = Runtime(device="cpu", threads=1)
QUIET = Logger(tensorboard=False, figures=0, log_every=10)


def dataset(seed: int = 0, labels: bool = False) -> Toy:
    """Ten batches of the trainer below, which thus validates after each epoch."""
    return moons(n_train=640, n_val=128, n_test=128, seed=seed, labels=labels)


def trainer(lr: float = 1e-2, objective: Objective | None = None, **options: Any) -> Trainer:
    options = {"batch_size": 64, "max_steps": 40, "validate_every": 10, "checkpoint_every": 10} | options
    return Trainer(objective or Likelihood(), partial(torch.optim.AdamW, lr=lr, fused=True), **options)


def start(trainer: Trainer, seed: int = 0) -> tuple[Run, Validation]:
    """A run of a tiny RealNVP, its budget fixed."""
    data = dataset()
    torch.manual_seed(seed)
    run = trainer.start(realnvp(data.spec, layers=4, width=32), data, RUNTIME, seed)
    validation = Validation(data, RUNTIME)
    run.steps = trainer.budget(run, validation)
    return run, validation


def fit(trainer: Trainer, folder: Path, seed: int = 0) -> Run:
    run, validation = start(trainer, seed)
    trainer.fit(run, validation, Monitor(folder, QUIET, {}, step=run.step))
    return run
