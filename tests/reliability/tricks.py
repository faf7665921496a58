"""What is made to go wrong in a life: called in its process before it begins."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

from flows.signals import Stopped, stop_if_asked


def at(place: str, call: int, act: Callable[[], None], after: bool = False) -> None:
    """Do something when a function is called for the nth time, counted from 1.

    Args:
        place: `module:name` or `module:Class.name`.
        call: Which call.
        act: What to do before it.
        after: Or after it.
    """
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    inner, calls = getattr(owner, name), 0

    @wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            act()
        result = inner(*args, **kwargs)
        if calls == call and after:
            act()
        return result

    setattr(owner, name, wrapped)


def tell(*signs: Signals) -> None:
    """Send this process signals."""
    for sign in signs:
        os.kill(os.getpid(), sign)


def tell_all(*signs: Signals) -> None:
    """Send a life's processes signals, as a terminal does."""
    for sign in signs:
        os.killpg(0, sign)


def tell_sweep(sign: Signals) -> None:
    """Send the sweep whose job this is a signal, and wait until it is handed on."""
    os.kill(os.getppid(), sign)
    with suppress(Stopped):
        while True:
            stop_if_asked()
            time.sleep(0.01)


def orphaned() -> None:
    """The sweep whose job this is dies, and the job goes on if it may."""
    os.kill(os.getppid(), SIGKILL)
    time.sleep(60)


def told_at(place: str, call: int, *signs: Signals) -> Callable[[], None]:
    """A trick: signals, when a function is called for the nth time."""
    return partial(at, place, call, partial(tell, *signs))


def dead_at(place: str, call: int, after: bool = False) -> Callable[[], None]:
    """A trick: death, before or after the nth call of a function. Nothing is flushed, closed or mended."""
    return partial(at, place, call, partial(os._exit, 9), after)


def dead_saving(function: str, folder: str, step: int) -> Callable[[], None]:
    """A trick: death before a checkpoint is prepared, or committed, in a folder.

    Args:
        function: Of `flows.training.checkpoint`: "prepare" or "commit".
        folder: That of checkpoints.
        step: The checkpoint's.
    """
    return partial(_dead_saving, function, Path(folder), step)


def _dead_saving(function: str, folder: Path, step: int) -> None:
    module = importlib.import_module("flows.training.checkpoint")
    inner = getattr(module, function)

    def wrapped(where: Path, at_step: int, *args: Any, **kwargs: Any) -> Any:
        if (where, at_step) == (folder, step):
            os._exit(9)
        return inner(where, at_step, *args, **kwargs)

    setattr(module, function, wrapped)


def dead_pruning(removal: int) -> Callable[[], None]:
    """A trick: death in the middle of the nth removal of a checkpoint, one of its files gone."""
    return partial(_dead_pruning, removal)


def _dead_pruning(removal: int) -> None:
    remove, removals = shutil.rmtree, 0

    def wrapped(path: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal removals
        if Path(path).name.isdecimal():
            removals += 1
            if removals == removal:
                Path(path, "model.safetensors").unlink(missing_ok=True)
                os._exit(9)
        remove(path, *args, **kwargs)

    shutil.rmtree = wrapped


def nobody() -> None:
    """Become a user who may write only where anyone may."""
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)


def fault_in(place: str, folder: str, error: Exception | None) -> None:
    """Once the run of a folder is at its third step: an error, or without one, its directory vanishes.

    Args:
        place: `Trainer.look_up`, whose third argument is the run's monitor.
        folder: The run's.
        error: What is raised.
    """

    def act() -> None:
        if error is not None:
            raise error
        shutil.rmtree(folder)

    at_step(place, folder, 3, act)


def at_step(place: str, folder: str, step: int, act: Callable[[], None]) -> None:
    """Do something once the run of a folder is at a step, in whichever process of a sweep that is.

    Args:
        place: As `fault_in` has it.
        folder: The run's.
        step: Which.
        act: What to do.
    """
    module, _, path = place.partition(":")
    owner, name = path.split(".")
    holder = getattr(importlib.import_module(module), owner)
    inner = getattr(holder, name)

    def wrapped(self: Any, run: Any, validation: Any, monitor: Any) -> Any:
        if run.step == step and monitor.folder == Path(folder):
            act()
        return inner(self, run, validation, monitor)

    setattr(holder, name, wrapped)
