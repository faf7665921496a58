"""Errors that a user, and not a programmer, is meant to read."""

from __future__ import annotations

import re
from typing import final

_NO_MEMORY = re.compile(
    "can't allocate memory|not enough memory|out of memory"
    "|Storage size calculation overflowed|Overflow when unpacking"
    "|Maximum allowed size exceeded|array is too big"
)


class UserError(ValueError):
    """Something the user gave can't work.

    The message is one line: what is wrong, where, and what would be right. The command line prints it
    alone and leaves with status 2; a notebook sees an ordinary ValueError.
    """


@final
class Busy(UserError):
    """Another process is training in a run's directory, whose contents are its own until it ends."""


def lacks_memory(error: BaseException) -> bool:
    """Whether Python, numpy or torch was asked for more memory than there is."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ValueError | TypeError) and bool(_NO_MEMORY.search(str(error)))
    )
