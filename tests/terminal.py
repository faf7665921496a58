"""What is seen on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable
from threading import Thread


def seen(act: Callable[[int], None]) -> list[str]:
    """Lines, also those written over, that something shows which is given the terminal's handle."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(ours, 10_000))
            except OSError:  # all that wrote there have closed it
                return

    reader = Thread(target=read)
    reader.start()
    try:
        act(theirs)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return [line for line in b"".join(shown).decode().replace("\r", "\n").split("\n") if line.strip()]
