"""One command's worth of training: a new run, or an old one carried on, from its folder to its result."""

from __future__ import annotations

import sys
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
from flows.training.run import Best, Run
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
    extended = folder.check(config, data_hash)
    with folder.held():
        run, validation = _stand(config, model, dataset, trainer, runtime, folder)
        run.steps = _budget(run, validation, trainer, folder, extended)
        if logger.describe:
            with run.players["model"].averaged():  # no dropout, which would draw from what the run draws from
                print(describe(model, run.stream.source.take(slice(0, trainer.batch_size))))
        if not trainer.done(run):
            known = {"seed": config["seed"], "data_hash": data_hash, "spec": dataset.spec._asdict()}
            folder.claim(config, {**facts(runtime), **known}, run.step, run.steps)
            monitor = Monitor(folder.path, logger, config, draw, run.step)
            begin = time.perf_counter()
            try:
                trainer.fit(run, validation, monitor)
            except KeyboardInterrupt:
                print(f"stopped at step {run.step}; the same command carries on", file=sys.stderr)
                raise
            finally:
                spent = folder.facts().get("seconds", 0.0) + time.perf_counter() - begin
                folder.note(status=_status(trainer, run), step=run.step, seconds=round(spent, 2))
        return Outcome(folder.path, run.step, _best_scores(run, validation, folder), logger.tensorboard)


def _stand(
    config: Mapping[str, Any],
    model: Sampler,
    dataset: Dataset,
    trainer: Trainer,
    runtime: Runtime,
    folder: Folder,
) -> tuple[Run, Validation]:
    """The run where its folder says that it stands."""
    last, best = folder.checkpoints / "last", folder.checkpoints / "best"
    latest = checkpoint.newest(last) or checkpoint.newest(best)  # either holds all there is
    origin = config["init_from"] if latest is None else None
    run = trainer.start(model, dataset, runtime, config["seed"], Saved(origin).weights() if origin else None)
    validation = Validation(dataset, runtime)
    if latest is not None:
        run.restore(checkpoint.read(latest))
    damaged = [path for path in checkpoint.steps(last) if int(path.name) > run.step]
    if damaged:
        print(f"{damaged[0]}: damaged; carrying on from step {run.step}", file=sys.stderr)
    for kept in (last, best):
        checkpoint.drop_beyond(kept, run.step)
    _mend_best(run, folder)
    return run, validation


def _mend_best(run: Run, folder: Folder) -> None:
    """See that the best checkpoint is there: a crash may have come before it, or have taken it."""
    best = folder.checkpoints / "best"
    if run.best.step == 0 or checkpoint.newest(best) == best / f"{run.best.step:08d}":
        return
    if run.best.step == run.step:
        checkpoint.write(best, run.step, run.state())
    else:
        run.best = Best()


def _budget(run: Run, validation: Validation, trainer: Trainer, folder: Folder, extended: bool) -> int:
    """Steps in all: those fixed when the run began, unless it is given a larger budget.

    Raises: UserError if the budget is smaller, or patience and not the budget has ended the run.
    """
    noted = folder.facts().get("steps")
    if noted is not None and not extended:
        return noted
    if noted is not None:
        run.steps = noted
        if trainer.done(run) and run.step < noted:
            raise UserError(
                f"{folder.path}: stopped early at step {run.step}; a larger budget changes nothing"
            )
    steps = trainer.budget(run, validation)
    if steps < (noted or 0):
        raise UserError(
            f"{folder.path}: its budget was {noted} steps and this one is {steps}; "
            "only a larger one carries a run on; give a new run_dir"
        )
    return steps


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
    return {f"val_{name}": score for name, score in validation(run).items()}
