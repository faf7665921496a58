"""What a run shows while it goes: a bar, TensorBoard, metrics.csv."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from torch import nn

from flows.training.bar import Bar
from flows.training.table import Table
from flows.types import NonNegativeInt, PositiveInt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Any], Mapping[str, "Figure"]]  # of a model, whatever it can do

_SHORT = {"val_nll": "val", "val_kl_to_truth": "kl"}  # so that all fits beside the bar
_VITALS = ("grad_norm", "lr", "steps_per_second")


@final
class Logger:
    """What to show, and how often.

    Args:
        log_every: Steps between readings of loss, gradient norm and speed.
        figures: How many times to draw during a run, evenly; 0 for never.
        tensorboard: Whether to write TensorBoard's event files beside metrics.csv.
        describe: Whether to print the model, layer by layer, before the first step.
    """

    def __init__(
        self,
        log_every: PositiveInt = 100,
        figures: NonNegativeInt = 4,
        tensorboard: bool = True,
        describe: bool = False,
    ) -> None:
        self.log_every = log_every
        self.figures = figures
        self.tensorboard = tensorboard
        self.describe = describe


@final
class Monitor:
    """Writes a run's folder; see `Logger` for what.

    Args:
        folder: The run's directory.
        logger: What to show.
        config: The run's configuration, shown as text and as hyper-parameters.
        draw: Figures of the model, by name.
        step: Where the run stands; what lies beyond was written by a process that died, and is dropped.
    """

    def __init__(
        self,
        folder: Path,
        logger: Logger,
        config: Mapping[str, Any],
        draw: Draw | None = None,
        step: int = 0,
    ) -> None:
        self.folder = folder
        self.logger = logger
        self._draw = draw
        self._table = Table(folder / "metrics.csv", step)
        self._board = None
        if logger.tensorboard:
            from flows.training.board import Board  # heavy, and not everyone wants it

            self._board = Board(folder / "tensorboard", config, step)
        self._bar: Bar | None = None
        self._since = (step, time.perf_counter())
        self._latest: dict[str, float] = {}

    @contextmanager
    def progress(self, step: int, steps: int, shown: bool = True) -> Iterator[None]:
        """Show a bar from step to steps, unless not to be shown; flush and close all at the end."""
        self._since = (step, time.perf_counter())
        with Bar(step, steps) if shown else nullcontext() as self._bar:
            try:
                yield
                if self._board is not None:
                    self._board.finish()
            finally:
                self._table.close()
                if self._board is not None:
                    self._board.close()

    def due(self, step: int) -> bool:
        """Whether it is time to read the loss."""
        return step % self.logger.log_every == 0

    def pulse(self, step: int) -> None:
        """Called after each step: move the bar."""
        if self._bar is not None:
            self._bar.move(step)

    def draws(self, step: int, steps: int) -> bool:
        """Whether it is time for figures."""
        count = self.logger.figures if self._draw is not None and self._board is not None else 0
        return count > 0 and (step * count) // steps > ((step - 1) * count) // steps

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row of scalars, and speed."""
        before, begin = self._since
        now = time.perf_counter()
        if step > before and self.due(step):
            values = {**values, "steps_per_second": (step - before) / (now - begin)}
            self._since = (step, now)
        self._latest |= values
        self._table.append(step, values)
        if self._board is not None:
            self._board.scalars(step, {_tag(name): value for name, value in values.items()})
        if self._bar is not None:
            self._bar.say(step, _summary(self._latest))

    def draw(self, step: int, model: nn.Module) -> None:
        """Draw the model; the time that takes doesn't count into steps per second."""
        begin = time.perf_counter()
        if self._draw is not None and self._board is not None:
            self._board.figures(step, self._draw(model))
        self._since = (self._since[0], self._since[1] + time.perf_counter() - begin)


def _tag(name: str) -> str:
    """val_nll as val/nll, nll as train/nll: TensorBoard groups by what stands before the slash.

    Groups stand in alphabetical order there, and HPARAMS ticks the first five: losses before vitals.
    """
    if name.startswith("val_"):
        return f"val/{name.removeprefix('val_')}"
    return f"vitals/{name}" if name.endswith(_VITALS) else f"train/{name}"


def _summary(values: Mapping[str, float]) -> str:
    """What stands beside the bar: the speed, then losses."""
    speed = [f"{values['steps_per_second']:.0f} steps/s"] if "steps_per_second" in values else []
    losses = [(_SHORT.get(name, name), value) for name, value in values.items() if not name.endswith(_VITALS)]
    return ", ".join(speed + [f"{name} {value:.4f}" for name, value in losses])
