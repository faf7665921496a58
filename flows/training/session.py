"""One command's worth of training: a new run, or an old one carried on, from its folder to its result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

from torch import Tensor

from flows.core import Dataset, Sampler
from flows.errors import UserError, lacks_memory
from flows.signals import Stopped, stop_if_asked
from flows.training import checkpoint
from flows.training.describe import describe
from flows.training.facts import facts
from flows.training.fitting import within_range
from flows.training.folder import Folder
from flows.training.monitor import Draw, Logger, Monitor
from flows.training.outcome import Outcome
from flows.training.run import Best, Run
from flows.training.runtime import Runtime
from flows.training.saved import Saved
from flows.training.trainer import Trainer
from flows.training.validation import Validation
from flows.wording import one_line


def carry_out(session: Session) -> Outcome:
    """Train in a session's folder: from the start, from another run's weights, or from where it stopped.

    Raises: UserError if the folder holds another run, or the loss diverges.
    """
    with session.opened():
        if not session.done:
            with session.training(session.compiles):
                session.fuse()
                with told_when_stopped(session.run):
                    session.trainer.fit(session.run, session.validation, session.monitor)
        return session.outcome()


@contextmanager
def told_when_stopped(run: Run) -> Iterator[None]:
    """Say where a run, or the first of several, stood when somebody stopped it."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(f"stopped at step {run.step}{_kept(run, stop)}", file=sys.stderr)
        raise


def _kept(run: Run, stop: KeyboardInterrupt) -> str:
    """What is left of a run that was stopped, and what its command will do."""
    if run.step == 0:
        return "; the same command begins anew"
    if not isinstance(stop, Stopped):
        return "; the same command carries on"
    bad = run.diverged_at()
    if bad is not None:
        return f", not saved, for it became non-finite at step {bad + 1}; lower trainer.optimizer.lr"
    return ", saved; the same command carries on"


@final
class Session:
    """A run from its folder's opening to its result.

    Args:
        config: All that the run is told.
        model: What is trained.
        dataset: On what.
        trainer: How.
        runtime: Where.
        logger: What to show.
        data_hash: Tells its training examples from others.
        draw: Figures of the model while it trains.
    """

    run: Run
    validation: Validation
    monitor: Monitor

    def __init__(
        self,
        config: Mapping[str, Any],
        model: Sampler,
        dataset: Dataset,
        trainer: Trainer,
        runtime: Runtime,
        logger: Logger,
        data_hash: str,
        draw: Draw | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.dataset = dataset
        self.trainer = trainer
        self.runtime = runtime
        self.logger = logger
        self.data_hash = data_hash
        self.draw = draw
        self.folder = Folder(config["run_dir"])

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While the context is open, the folder is this run's alone, and the run stands where it says.

        Raises: As `held`, and UserError as `stand`.
        """
        with self.held():
            self.stand()
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the context is open, the folder is this run's alone.

        Raises:
            UserError if the folder holds another run, or another process trains there.
            Unwritable if nothing can be saved there.
        """
        stop_if_asked()
        self.folder.check(self.config, self.data_hash)  # before anything is touched
        with self.folder.held():
            self._extended = self.folder.check(self.config, self.data_hash)  # again: it may have changed
            self.folder.writable()
            yield

    def stand(self) -> None:
        """Take the run to where its folder, which is held, says that it stands.

        Raises: UserError if it can't be carried on from there.
        """
        self.run, self.validation = self._stand()
        self.run.steps = self._budget(self._extended)
        if self.done and self.folder.facts().get("status") == "running":
            self.folder.note(status=self._status(), step=self.run.step)  # killed before it could say so
        if self.logger.describe:
            with self.run.players["model"].averaged():  # without dropout, which would draw numbers
                print(describe(self.model, self.run.stream.source.take(slice(0, self.trainer.batch_size))))

    @contextmanager
    def training(self, compiled: bool, members: int = 1) -> Iterator[None]:
        """Claim the folder and open the monitor.

        On leaving, in whatever way, write status, step and seconds to run.json.

        Args:
            compiled: Whether its steps are.
            members: Runs that train together, which share the seconds.
        """
        known = {"seed": self.config["seed"], "data_hash": self.data_hash, "compiled": compiled}
        known |= {"captured": self.runtime.captures}
        known |= {**facts(self.runtime), "spec": self.dataset.spec._asdict()}
        self.folder.claim(self.config, known, self.run.step, self.run.steps)
        self._spent, self._since, self._members = 0.0, time.perf_counter(), members
        try:
            self.monitor = Monitor(self.folder.path, self.logger, self.config, self.draw, self.run.seen)
            yield
        except BaseException:
            with suppress(UserError, OSError):  # perhaps of the full disk that is being reported
                self._note()
            raise
        self._note()

    def share(self, members: int) -> None:
        """Share the seconds from now on with so many runs, this one among them."""
        now = time.perf_counter()
        self._spent += (now - self._since) / self._members
        self._since, self._members = now, members

    def _note(self) -> None:
        """Write to run.json where the run stands, and the seconds that it has taken."""
        self.share(self._members)
        spent = self.folder.facts().get("seconds", 0.0) + self._spent
        self.folder.note(status=self._status(), step=self.run.step, seconds=round(spent, 2))

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        return self.trainer.done(self.run)

    @property
    def compiles(self) -> bool:
        """Whether its steps are compiled.

        Only if asked to where nobody knows that all steps will be taken: with a budget in seconds, which
        compiling uses up, or with patience.
        """
        known = self.trainer.max_seconds is None and self.trainer.patience is None
        return self.runtime.compiles(self.run.steps if known else 0, self.run.nets)

    def fuse(self) -> None:
        """Have the run compile or record its gradients at their first calls, where that pays; once."""
        compiled, captured = self.compiles, self.runtime.captures
        if (compiled or captured) and not self.run.fused:
            self.run.fuse(compiled, captured)

    def outcome(self) -> Outcome:
        """What came of it: the scores of the best checkpoint."""
        model = self.run.players["model"]
        most = checkpoint.most_bytes(*self.run.nets.values())
        best = checkpoint.find(self.folder.checkpoints / "best", most=most)
        if best is not None:
            with _fitting(best.path):
                model.restore(best.content.tensors["model"])
        scores = {f"val_{name}": score for name, score in self.validation(self.run).items()}
        return Outcome(self.folder.path, self.run.step, scores, self.run.best.step, self.logger.tensorboard)

    def _stand(self) -> tuple[Run, Validation]:
        """The run, at the step that its folder has saved."""
        last, best = self.folder.checkpoints / "last", self.folder.checkpoints / "best"
        latest = checkpoint.newest(last) or checkpoint.newest(best)  # each holds the whole state
        origin = self.config["init_from"] if latest is None else None
        weights = self._weights(Saved(origin)) if origin else None
        run = self.trainer.start(self.model, self.dataset, self.runtime, self.config["seed"], weights)
        validation = Validation(self.dataset, self.runtime)
        if latest is not None:
            _restore(run, latest)
        damaged = checkpoint.damaged(last, run.step)
        if damaged is not None:
            print(f"{damaged}: damaged; carrying on from step {run.step}", file=sys.stderr)
        _mend_best(run, self.folder)  # first, because what it can't read has to stop us before we delete
        for kept in (last, best):
            checkpoint.drop_beyond(kept, run.step)
        return run, validation

    def _weights(self, origin: Saved) -> dict[str, Tensor]:
        origin.check_features(self.dataset.spec)
        return origin.weights(like=self.model)

    def _budget(self, extended: bool) -> int:
        """Steps in all: those fixed when the run began, unless it is given a larger budget.

        Raises: UserError if the budget is smaller, or patience and not the budget has ended the run.
        """
        noted, path = self.folder.facts().get("steps"), self.folder.path
        if noted is not None and not extended:
            return noted
        if noted is not None:
            self.run.steps = noted
            if self.done and self.run.step < noted:
                raise UserError(
                    f"{path}: stopped early at step {self.run.step}; a larger budget changes nothing"
                )
        if self.trainer.max_seconds is not None:
            self.fuse()  # so that the rehearsal builds the graphs, and its seconds count
        steps = self.trainer.budget(self.run, self.validation)
        if steps < (noted or 0):
            raise UserError(
                f"{path}: its budget was {noted} steps and this one is {steps}; "
                "only a larger one carries a run on; give a new run_dir"
            )
        return steps

    def _status(self) -> str:
        if self.run.diverged_at() is not None:
            return "diverged"
        if not self.done:
            return "interrupted"
        return "finished" if self.run.step >= self.run.steps else "stopped early"


def _restore(run: Run, latest: Path) -> None:
    found = checkpoint.read(latest, checkpoint.most_bytes(*run.nets.values()))
    with _fitting(latest):
        run.restore(found)
        turn = checkpoint.step_of(latest) * len(run.objective.cycle)  # saved after whole steps
        within_range("turn", run.turn, turn, turn)


@contextmanager
def _fitting(path: Path) -> Iterator[None]:
    """Say in one line that a checkpoint is another run's, or nobody's."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, UserError) or lacks_memory(error):  # which says nothing of the checkpoint
            raise
        reason = one_line(error)
        raise UserError(f"{path}: doesn't fit this run ({reason}); give a new run_dir") from error


def _mend_best(run: Run, folder: Folder) -> None:
    """If a crash has left no whole best checkpoint, write it anew, or look for another best from here on."""
    best = folder.checkpoints / "best"
    path = checkpoint.at(best, run.best.step)
    if run.best.step == 0 or checkpoint.newest(best, run.step) == path:
        return
    damaged = path.exists()
    if run.best.step == run.step:
        checkpoint.write(best, run.step, run.state())
        mended = "written anew"
    else:
        run.best = Best()
        mended = f"looking for the best anew from step {run.step}"
    if damaged:
        print(f"{path}: damaged; {mended}", file=sys.stderr)
