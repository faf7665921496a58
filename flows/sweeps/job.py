"""What a job leaves in its folder besides its run: what it was told, and why it failed."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml

from flows.errors import Busy
from flows.files import write_whole
from flows.training.folder import Folder, entries

OVERRIDES, ERROR = "overrides.yaml", "error.txt"
_OURS = {OVERRIDES, ERROR, ".lock", "config.yaml", "run.json"}


class Failure(NamedTuple):
    """What a job that fails gives back, instead of None.

    Args:
        reason: One line.
    """

    reason: str


def begin(folder: Path, overrides: Sequence[str]) -> None:
    """Note what a job was told, and forget that it failed before: called first, by whatever runs it.

    Nothing is noted where another command's run still goes on.
    """
    if _ours(folder):
        with suppress(Busy), Folder(folder).held():
            write_whole(folder / OVERRIDES, yaml.safe_dump(list(overrides)))
            forget(folder)


def forget(folder: Path) -> None:
    """Forget that a job failed: it begins anew, or has ended well."""
    (folder / ERROR).unlink(missing_ok=True)


def fail(folder: Path, reason: str, bug: BaseException | None = None) -> Failure:
    """Keep why a job failed in its folder: the reason alone, or above a bug's traceback.

    Nothing is kept where another command's run still goes on, for that hasn't failed.

    Args:
        folder: The job's own.
        reason: One line.
        bug: What was raised, if it isn't a message for the user.
    """
    detail = "" if bug is None else "\n" + "".join(traceback.format_exception(bug))
    with suppress(OSError, Busy):  # OSError: perhaps the same full disk that made the job fail
        if _ours(folder):
            with Folder(folder).held():
                write_whole(folder / ERROR, f"{reason}\n{detail}")
    return Failure(reason)


def announced(number: int, overrides: Sequence[str]) -> str:
    """A job as it is announced, without the folder, which is the whole sweep's.

    >>> announced(3, ["seed=1", "run_dir=outputs/widths"])
    '#3 seed=1'
    """
    return " ".join([f"#{number}", *(each for each in overrides if not each.startswith("run_dir="))])


def _ours(folder: Path) -> bool:
    """Whether to write there: not beside the files of someone else."""
    names = entries(folder)
    return not names or bool(names & _OURS)
