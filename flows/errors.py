"""The exceptions that a user, and not a programmer, is meant to read."""

from typing import final


class UserError(ValueError):
    """Something the user gave can't work.

    The message is one line: what is wrong, where, and what would be right. The command line prints it
    alone and leaves with status 2; a notebook sees an ordinary ValueError.
    """


@final
class Busy(UserError):
    """Another process is training in a run's directory, whose contents are its own until it ends."""
