"""One command's worth of training: a new run, or an old one carried on, from its folder to its result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flows.core import Dataset, Sampler
from flows.errors import UserError
from flows.training import checkpoint
from flows.training.describe import describe
from flows.training.facts import facts
from flows.training.folder import Folder
from flows.training.monitor import Draw, Logger, Monitor
from flows.training.outcome import Outcome
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.saved import Saved
from flows.training.trainer import Trainer
from flows.training.validation import Validation


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
    extended = folder.check(config, data_hash)
    weights = Saved(config["init_from"]).weights() if config["init_from"] else None
    run = trainer.start(model, dataset, runtime, seed, weights)
    validation = Validation(dataset, runtime)
    latest = checkpoint.newest(folder.checkpoints / "last")
    if latest is not None:
        run.restore(checkpoint.read(latest))
        _mend_best(run, folder)
    noted = folder.facts().get("steps")
    run.steps = trainer.budget(run, validation) if extended or noted is None else noted
    if run.steps < run.step:
        raise UserError(f"{folder.path}: already at step {run.step}, beyond this budget of {run.steps}")
    if logger.describe:
        print(describe(model, run.stream.source.take(slice(0, trainer.batch_size))))
    if not trainer.done(run):
        known = {"seed": seed, "data_hash": data_hash, "spec": dataset.spec._asdict()}
        folder.claim(config, {**facts(runtime), **known}, run.step, run.steps)
        monitor = Monitor(folder.path, logger, config, draw, run.step)
        begin = time.perf_counter()
        try:
            trainer.fit(run, validation, monitor)
        finally:
            spent = folder.facts().get("seconds", 0.0) + time.perf_counter() - begin
            folder.note(status=_status(trainer, run), step=run.step, seconds=round(spent, 2))
    return Outcome(folder.path, run.step, _best_scores(run, validation, folder), logger.tensorboard)


def _mend_best(run: Run, folder: Folder) -> None:
    """Write the best checkpoint that a crash came before."""
    best = checkpoint.newest(folder.checkpoints / "best")
    if run.best.step == run.step and (best is None or int(best.name) != run.step):
        checkpoint.write(folder.checkpoints / "best", run.step, run.state())


def _status(trainer: Trainer, run: Run) -> str:
    if run.diverged_at() is not None:
        return "diverged"
    if run.step >= run.steps:
        return "finished"
    return "stopped early" if trainer.done(run) else "interrupted"


def _best_scores(run: Run, validation: Validation, folder: Folder) -> dict[str, float]:
    best = checkpoint.newest(folder.checkpoints / "best")
    if best is not None:
        run.players["model"].restore(checkpoint.read(best).tensors["model"])
    return validation(run)
