"""Call a function in a child of this process, and learn how that ended."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar, final

from flows.errors import UserError
from flows.signals import Stopped, stop_if_asked

T = TypeVar("T")
Word = tuple[Any, BaseException | None]  # what a function gave back, or else raised

_LOOK, _MOMENT = 0.2, 2.0  # seconds between looks whether to stop, and to tidy up in after a second Ctrl-C
_PR_SET_PDEATHSIG = 1


@final
class Died(Exception):
    """A child ended before it had done its work; the message says how."""


def apart(act: Callable[[], T], needs: Iterable[str] = ()) -> T:
    """What a function gives back that is called in a fork of this process, so that it may end it.

    A fork finds imported what is imported here, and takes no time to start. It finds no thread, none of
    torch's either, and no GPU: these mustn't have been in use here.

    If we are asked to stop, so is the child, and we wait until it has saved. It doesn't outlive us.

    Args:
        act: What it gives back can be pickled.
        needs: Modules that it will want, imported here for all children to come.

    Raises:
        UserError, BrokenPipeError, KeyboardInterrupt: if the function does.
        Died: if the child ended in any other way.
    """
    for name in needs:
        import_module(name)
    stop_if_asked()
    sys.stdout.flush()  # or what waits there would be written twice
    sys.stderr.flush()
    ours, theirs = Pipe(duplex=False)
    us = os.getpid()
    pid = os.fork()
    if pid == 0:
        _live(act, theirs, us)
    theirs.close()
    child = _Child(pid)
    with ours:
        try:
            given, error = child.word(ours)
        except BaseException:
            child.leave()
            raise
    if isinstance(error, Died | KeyboardInterrupt):
        stop_if_asked()  # that is why, and who asked is known here
    if error is not None:
        raise error
    return given


@final
class _Child:
    """A child, and once it has ended its status: negative for the signal that ended it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None

    def word(self, pipe: Connection) -> Word:
        """Wait until it has ended; what it said."""
        while not pipe.poll(_LOOK) and not self.ended():  # children of its own may hold the pipe open
            try:
                stop_if_asked()
            except Stopped:
                self.tell(signal.SIGTERM)  # whatever we were told: a second SIGINT would abort it
        try:
            said = pipe.recv() if pipe.poll() else None
        except Exception:  # it died within a word, or what it gave can't be read
            said = None
        self.ended(wait=True)
        return said or (None, Died(self._how()))

    def leave(self) -> None:
        """See that it ends now: a second Ctrl-C has reached it too."""
        until = time.monotonic() + _MOMENT
        try:
            while not self.ended() and time.monotonic() < until:
                time.sleep(_LOOK / 10)
        finally:
            self.tell(signal.SIGKILL)
            self.ended(wait=True)

    def tell(self, sign: signal.Signals) -> None:
        if not self.ended():
            os.kill(self.pid, sign)

    def ended(self, wait: bool = False) -> bool:
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            except ChildProcessError:  # where SIGCHLD is ignored, nobody knows
                pid, status = self.pid, 0
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def _how(self) -> str:
        assert self.status is not None
        if self.status >= 0:
            return f"its process ended with status {self.status} before it was done"
        memory = ", perhaps for want of memory" if self.status == -signal.SIGKILL else ""
        return f"its process was ended by signal {-self.status} ({signal.strsignal(-self.status)}){memory}"


def _live(act: Callable[[], Any], pipe: Connection, parent: int) -> NoReturn:
    """A child's life. What its parent is in the middle of, it doesn't end."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # which may have died before that
            gc.freeze()  # or it would copy its parent's memory by looking for garbage there
            pipe.send(_word(act))
            status = 0
    except (Exception, SystemExit):
        traceback.print_exc()
    finally:
        os._exit(status)


def _word(act: Callable[[], Any]) -> Word:
    try:
        try:
            return act(), None
        finally:
            sys.stdout.flush()  # here, where a broken pipe is met
    except (UserError, BrokenPipeError, KeyboardInterrupt) as error:
        return None, error
