"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from flows.core import Batch, Dataset, Sampler, Source, Spec
from flows.errors import UserError
from flows.lattice import dequantise
from flows.objectives import Objective
from flows.signals import Stopped, stop_if_asked
from flows.training import checkpoint
from flows.training.capture import WARM
from flows.training.jitter import Jitter
from flows.training.monitor import Monitor
from flows.training.player import Player, fill
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.schedule import Decay, Schedule
from flows.training.seeds import seed_of
from flows.training.stream import Stream
from flows.training.thinned import thinned
from flows.training.validation import Validation
from flows.types import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from flows.wording import choose

Own = Mapping[Literal["lr", "clip_norm"], PositiveFloat]
_STEPPING = 0.92  # of a budget in seconds; logging and saving take the rest


class Due(NamedTuple):
    """What a look has found to be saved: the run as it is, and that as its best; the best never alone."""

    last: bool
    best: bool


@final
class Trainer:
    """A plain loop: draw, loss, backward, guard, clip, step; now and then look, score and save.

    Args:
        objective: What is minimised.
        optimizer: Builds an optimizer of parameters; one a player.
        batch_size: Examples a turn.
        max_steps: Budget in steps; null for none.
        max_epochs: Budget in epochs; null for none.
        max_seconds: Budget in seconds, turned into steps by a rehearsal before the first, compiling
            included; null for none.
        warmup: Steps over which the learning rate rises.
        decay: How it falls then: "cosine", to zero at the budget's end, or "constant".
        clip_norm: Largest norm of a gradient; null for any.
        jitter: Noise on training examples, in standard deviations of each feature; 0 for none.
        ema: Decay of the average of the weights that is validated and kept; null for the last weights.
        validate_every: Steps between validations; before the first of these there is one after 1, 2, 4, …
            epochs, since few examples are soon learned by heart.
        patience: Validations without a new best before stopping, the early ones not counted; null for never.
        checkpoint_every: Steps between checkpoints; null for each epoch.
        keep: How many of the last checkpoints stay.
        players: What single players have of their own, by name.

    Raises: UserError if there is no budget, or from `start` if the objective has no such player.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Callable[[list[nn.Parameter]], Optimizer],
        batch_size: PositiveInt = 256,
        max_steps: PositiveInt | None = None,
        max_epochs: PositiveInt | None = None,
        max_seconds: PositiveFloat | None = None,
        warmup: NonNegativeInt = 0,
        decay: Decay = "cosine",
        clip_norm: PositiveFloat | None = None,
        jitter: Fraction = 0.0,
        ema: Fraction | None = None,
        validate_every: PositiveInt = 500,
        patience: PositiveInt | None = None,
        checkpoint_every: PositiveInt | None = None,
        keep: PositiveInt = 1,
        players: Mapping[str, Own] | None = None,
    ) -> None:
        if max_steps is None and max_epochs is None and max_seconds is None:
            raise UserError(
                "trainer: no budget; give trainer.max_steps, trainer.max_epochs or trainer.max_seconds"
            )
        self.objective = objective
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.max_epochs = max_epochs
        self.max_seconds = max_seconds
        self.schedule = Schedule(decay, warmup)
        self.clip_norm = clip_norm
        self.jitter = jitter
        self.ema = ema
        self.validate_every = validate_every
        self.patience = patience
        self.checkpoint_every = checkpoint_every
        self.keep = keep
        self.players = players or {}

    def start(
        self,
        model: Sampler,
        dataset: Dataset,
        runtime: Runtime,
        seed: int,
        weights: dict[str, Tensor] | None = None,
    ) -> Run:
        """A run at its first turn: its model fitted to the data's units, or given another run's weights.

        Raises: UserError if the dataset has nothing to train on, or the weights don't fit.
        """
        source = dataset.source("train")
        if source is None:
            raise UserError("this dataset has no training part, only a truth to compare with")
        examples = _examples(source, dataset.spec, runtime.dtype, seed)
        if weights is None:
            with torch.no_grad():
                model.to(runtime.dtype).initialise(examples)
        else:
            fill(model, weights)
            model.to(runtime.dtype)
        torch.manual_seed(seed_of("players", seed))  # in a batch, other models have been drawn since ours
        nets = self.objective.players(model, dataset.spec, examples)
        players = self._players({name: net.to(runtime.device) for name, net in nets.items()})
        order = torch.Generator().manual_seed(seed_of("order", seed))
        noise = torch.Generator(runtime.device).manual_seed(seed_of("noise", seed))
        stream = Stream(source.to(runtime.device, runtime.dtype), self.batch_size, order)
        jitter = Jitter(self.jitter, examples, dataset.spec, runtime.device) if self.jitter else None
        return Run(self.objective, players, stream, noise, dataset.spec, jitter)

    def _players(self, nets: Mapping[str, nn.Module]) -> dict[str, Player]:
        for name in self.players:
            if name not in nets:
                key = "trainer.players."
                raise UserError(f"{key}{name}: no such player; {choose(name, nets, 'players', key)}")
        players = {}
        for name, net in nets.items():
            own = self.players.get(name, {})
            clip_norm = own.get("clip_norm", self.clip_norm)
            players[name] = Player(net, self.optimizer, clip_norm, self.ema, own.get("lr"))
        return players

    def budget(self, run: Run, validation: Validation) -> int:
        """Steps until the first limit.

        Raises: UserError if a budget in seconds is used up by compiling.
        """
        limits = [self.max_steps]
        if self.max_epochs is not None:
            limits.append(max(1, self.max_epochs * self.turns_per_epoch(run) // len(self.objective.cycle)))
        if self.max_seconds is not None:
            begin = time.perf_counter()
            step = self._rehearse(run, validation, min(0.5, 0.05 * self.max_seconds))
            left = self.max_seconds - (time.perf_counter() - begin)
            if left <= 0 and run.compiled:
                raise UserError(
                    f"trainer.max_seconds={self.max_seconds:g}: compiling alone took longer; "
                    "give more, or runtime.compile=false"
                )
            limits.append(max(1, int(_STEPPING * left / step)))
        return min(limit for limit in limits if limit is not None)

    def turns_per_epoch(self, run: Run) -> int:
        """Turns that one pass over the training part takes."""
        return max(1, len(run.stream.source) // self.batch_size)

    def fit(self, run: Run, validation: Validation, monitor: Monitor) -> None:
        """Train until the budget or the patience ends, or carry on where the run stands.

        Raises:
            UserError if the loss diverges, naming the step and the last good checkpoint.
            Stopped if somebody asks for it, once the run is saved as it stands after a whole step.
        """
        with monitor.progress(run.step, run.steps):
            try:
                while not self.done(run):
                    stop_if_asked()
                    while run.seen == run.step:  # unequal if it was stopped before a step's look
                        self.take_turn(run)
                    self.save(run, monitor.folder, self.look_up(run, validation, monitor))
            except Stopped:
                self.save_stopped(run, monitor.folder)
                raise

    def done(self, run: Run) -> bool:
        """Whether the budget or the patience has ended, and the last step has been looked at."""
        spent = self.patience is not None and run.best.misses >= self.patience
        return run.seen == run.step and (run.step >= run.steps or spent)

    def save_stopped(self, run: Run, folder: Path) -> None:
        """Save a run that was stopped between two steps, unless it is already."""
        if self.unsaved(run, folder):
            self.save(run, folder, Due(last=True, best=False))

    def unsaved(self, run: Run, folder: Path) -> bool:
        """Whether a run that stops now should be saved: not if it is, or has diverged."""
        last = folder / "checkpoints" / "last"
        saved = run.step == 0 or checkpoint.newest(last) == checkpoint.at(last, run.step)
        return not saved and run.diverged_at() is None

    def take_turn(self, run: Run) -> None:
        """One update of the player whose turn it is."""
        batch, noise = run.prepare()
        self.pace(run)
        run.end_turn(*run.backward(batch, noise))

    def pace(self, run: Run) -> None:
        """Set the learning rate and the average's decay for the turn to come."""
        run.players[run.player].pace(self.schedule(run.step, run.steps))

    def look_up(self, run: Run, validation: Validation, monitor: Monitor) -> Due:
        """Between two steps, log, validate and draw what is due; what to save then.

        Raises: Stopped from within validation or figures; the run is then as it was before this look.
        """
        step, last = run.step, run.step == run.steps
        monitor.pulse(step)
        folder = monitor.folder / "checkpoints"
        steps_per_epoch = max(1, self.turns_per_epoch(run) // len(self.objective.cycle))
        log, validate = monitor.due(step), self._validates(step, steps_per_epoch)
        save = step % (self.checkpoint_every or steps_per_epoch) == 0
        if log or validate or save or last:
            _stop_if_diverged(run, folder)
        scores = validation(run) if validate or last else None  # first, because it may be stopped
        if monitor.draws(step, run.steps):
            with run.players["model"].averaged():
                monitor.draw(step, run.players["model"].net)
        values, better = self._progress(run) if log or last else {}, False
        if scores is not None:
            values |= {f"val_{name}": score for name, score in scores.items()}
            counts = step % self.validate_every == 0 or last
            # -step where there is nothing to validate on: every later step counts as better
            watched = next(iter(scores.values())) if scores else -float(step)
            better = run.judge(watched, counts)
        if values:
            monitor.log(step, values)
        run.seen = step
        return Due(last=save or better or self.done(run), best=better)

    def save(self, run: Run, folder: Path, due: Due) -> None:
        """Save what a look found due, in a run's folder."""
        if due.last:
            checkpoint.write(folder / "checkpoints" / "last", run.step, run.state(), self.keep)
        if due.best:  # after the last, so that a run never resumes before its best
            checkpoint.write(folder / "checkpoints" / "best", run.step, run.state())

    def _validates(self, step: int, steps_per_epoch: int) -> bool:
        epochs, within = divmod(step, steps_per_epoch)
        early = step < self.validate_every and within == 0 and epochs.bit_count() == 1
        return early or step % self.validate_every == 0

    def _progress(self, run: Run) -> dict[str, float]:
        values = run.means()
        for name, player in run.players.items():
            values["grad_norm" if name == "model" else f"{name}_grad_norm"] = float(player.grad_norm)
        model = run.players["model"]
        return values | {"lr": model.rates[0] * self.schedule(max(0, run.step - 1), run.steps)}

    def _rehearse(self, run: Run, validation: Validation, seconds: float) -> float:
        """Seconds a step takes, its share of validation included, measured on turns that are then undone."""
        before = run.state()
        cycle = len(self.objective.cycle)
        for _ in range(max(10, (WARM + 1) * cycle)):  # more than it takes to record a graph
            self.take_turn(run)
        run.means()  # waits for the device
        turns, begin = 0, time.perf_counter()
        while turns < max(5, cycle) or turns % cycle or time.perf_counter() - begin < seconds:
            self.take_turn(run)
            turns += 1
        run.means()
        turn = (time.perf_counter() - begin) / turns
        begin = time.perf_counter()
        validation(run)
        look = time.perf_counter() - begin
        run.restore(before)
        return turn * cycle + look / self.validate_every


def _examples(source: Source, spec: Spec, dtype: torch.dtype, seed: int) -> Batch:
    """All examples, or as many as are enough to fit units to; spread over a lattice's cells if on one."""
    source = source.to(torch.device("cpu"), dtype)
    batch = source.take(thinned(len(source), spec))
    return batch._replace(x=dequantise(batch.x, spec, torch.Generator().manual_seed(seed_of("units", seed))))


def _stop_if_diverged(run: Run, folder: Path) -> None:
    at = run.diverged_at()
    if at is None:
        return
    good = checkpoint.newest(folder / "last")
    left = f"the last good checkpoint is {good}" if good else "no checkpoint had been written yet"
    raise UserError(
        f"the loss or its gradient became non-finite at step {at + 1}; {left}; "
        "try a lower trainer.optimizer.lr or trainer.clip_norm"
    )
