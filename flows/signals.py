"""Being asked to stop: SIGINT and SIGTERM set a flag, which loops look at where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from types import FrameType
from typing import final

_asked: Signals | None = None


@final
class Stopped(KeyboardInterrupt):
    """Raised when somebody has asked, at a place where nothing is half done, so that all can be saved.

    Args:
        sign: How they asked.
    """

    def __init__(self, sign: Signals) -> None:
        super().__init__(sign)
        self.sign = sign


def status(stop: KeyboardInterrupt) -> int:
    """Exit status of a program that was stopped this way."""
    return 128 + (stop.sign if isinstance(stop, Stopped) else Signals.SIGINT)


def stop_if_asked() -> None:
    """Called between two pieces of work.

    Raises: Stopped if somebody has asked.
    """
    if _asked is not None:
        raise Stopped(_asked)


@contextmanager
def heeded(*more: Signals, patient: bool = False) -> Iterator[None]:
    """While the context is open, SIGINT and SIGTERM only ask to stop; a second SIGINT interrupts at once.

    What is ignored stays ignored, as by nohup. In a thread, which Python gives no signals, nothing changes.

    Args:
        more: Other signals that ask.
        patient: Let no second SIGINT interrupt: for processes that one Ctrl-C reaches twice, by the terminal
            and by their parent, which can end them otherwise.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    presses = 0

    def ask(number: int, frame: FrameType | None) -> None:
        global _asked
        nonlocal presses
        if number == Signals.SIGINT:
            presses += 1
        if presses > 1 and not patient:
            raise KeyboardInterrupt
        _asked = _asked or Signals(number)

    outer, before = _asked, {}
    for sign in (Signals.SIGINT, Signals.SIGTERM, *more):
        if signal.getsignal(sign) != signal.SIG_IGN:
            before[sign] = signal.signal(sign, ask) or signal.SIG_DFL
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        _asked = outer
