"""One command's worth of training: a new run, or an old one carried on, from its folder to its result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flows.core import Dataset, Sampler
from flows.errors import UserError
from flows.training import checkpoint
from flows.training.describe import describe
from flows.training.facts import facts
from flows.training.folder import Folder
from flows.training.monitor import Draw, Logger, Monitor
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.saved import Saved
from flows.training.trainer import Trainer
from flows.training.validation import Validation


class Outcome(NamedTuple):
    """Where a run came to."""

    folder: Path
    step: int
    scores: dict[str, float]  # validation, of the best checkpoint

    def __str__(self) -> str:
        scores = "  ".join(f"{name} {score:.4f}" for name, score in self.scores.items())
        return (
            f"{scores or f'{self.step} steps'} | run {self.folder} | python evaluate.py run={self.folder}"
            f" | tensorboard --logdir {self.folder}"
        )


def carry_out(
    config: Mapping[str, Any],
    model: Sampler,
    dataset: Dataset,
    trainer: Trainer,
    runtime: Runtime,
    logger: Logger,
    data_hash: str,
    draw: Draw | None = None,
) -> Outcome:
    """Train in `run_dir`: from the start, from another run's weights, or from where this run stopped.

    Raises: UserError if the folder holds another run, or the loss diverges.
    """
    folder = Folder(config["run_dir"])
    seed = config["seed"]
    known = {"seed": seed, "data_hash": data_hash, "spec": dataset.spec._asdict()}
    extended = folder.claim(config, {**facts(runtime), **known})
    weights = Saved(config["init_from"]).weights() if config["init_from"] else None
    run = trainer.start(model, dataset, runtime, seed, weights)
    validation = Validation(dataset, runtime)
    latest = checkpoint.newest(folder.checkpoints / "last")
    if latest is not None:
        run.restore(checkpoint.read(latest))
    if latest is None or extended:
        run.steps = trainer.budget(run, validation)
    if run.steps < run.step:
        raise UserError(f"{folder.path}: already at step {run.step}, beyond this budget of {run.steps}")
    if logger.describe:
        print(describe(model, run.stream.source.take(slice(0, trainer.batch_size))))
    if not trainer.done(run):
        monitor = Monitor(folder.path, logger, config, [f"val_{n}" for n in validation(run)], draw, run.step)
        folder.note(status="running", steps=run.steps)
        begin = time.perf_counter()
        trainer.fit(run, validation, monitor)
        spent = folder.facts().get("seconds", 0.0) + time.perf_counter() - begin
        folder.note(status=_status(run), step=run.step, seconds=round(spent, 2))
    return Outcome(folder.path, run.step, _best_scores(run, validation, folder))


def _status(run: Run) -> str:
    return "finished" if run.step >= run.steps else "stopped early"


def _best_scores(run: Run, validation: Validation, folder: Folder) -> dict[str, float]:
    best = checkpoint.newest(folder.checkpoints / "best")
    if best is not None:
        run.players["model"].restore(checkpoint.read(best).tensors["model"])
    return validation(run)
