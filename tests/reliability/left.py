"""A small run as training leaves it, for tests that spoil it."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import composed

import train as train_program
from flows.training import checkpoint
from flows.training.checkpoint import Checkpoint

OPTIONS = (
    *("dataset.n_train=64", "dataset.n_val=20", "dataset.n_test=30", "runtime=cpu", "logger=csv"),
    *("model.layers=2", "model.width=8", "trainer.batch_size=16", "trainer.validate_every=2"),
    *("trainer.checkpoint_every=2", "trainer.keep=2"),
)
_HOME = tempfile.TemporaryDirectory()  # removed when the process ends


@functools.cache
def trained(*overrides: str) -> Path:
    """A run of four steps, with the last two checkpoints: nobody may change it."""
    folder = Path(_HOME.name, f"run{abs(hash(overrides))}")
    train(folder, *overrides)
    return folder


def train(folder: Path, *overrides: str) -> None:
    """Train there, or carry on."""
    composed.run(folder, *OPTIONS, "trainer.max_steps=4", *overrides)


@functools.cache
def _told() -> dict[str, Any]:
    return composed.configuration(*OPTIONS, "trainer.max_steps=6")


def carry_on(folder: Path) -> None:
    """What training does with what lies there: it is all read, and a turn uses it."""
    session = train_program.prepare(_told() | {"run_dir": str(folder)})
    with session.opened():
        session.trainer.take_turn(session.run)


def copy(folder: Path, *overrides: str) -> Path:
    """A run that a test may spoil."""
    return shutil.copytree(trained(*overrides), folder / "run", symlinks=True)


def newest(run: Path, kind: str = "last") -> Path:
    """Where its newest checkpoint lies, whole or not."""
    return next(checkpoint.steps(run / "checkpoints" / kind))


def rewrite(path: Path, change: Callable[[Checkpoint], Checkpoint]) -> None:
    """Write a checkpoint anew, whole and with right digests, changed."""
    checkpoint.write(path.parent, int(path.name), change(checkpoint.read(path)), keep=9)
