"""The checkpoints of a batch: a save is all members' or nobody's, so that they resume in step.

Members out of step end one after the other, and rows of a smaller batch add up in another order; those with
dropout share its generator. So whenever one is due all are saved, in two rounds: each prepares a checkpoint,
marked as one of so many, and once all are there each commits its own. A kill in the first round leaves too
few of a mark, and all resume from the save before; one in the second leaves them all, prepared or committed,
and the next life commits the rest before anything else.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from flows.sweeps.member import Member
from flows.training import checkpoint


def save_due(members: Sequence[Member]) -> None:
    """Save all if any is due, each its best if that is."""
    if any(member.due.last for member in members):
        _save(members)


def save_stopped(members: Sequence[Member]) -> None:
    """Save those that aren't, when somebody has stopped them, even if another can't be."""
    trained = [member for member in members if member.error is None]
    _save([member for member in trained if member.unsaved()])
    for member in trained:
        if member.error is not None:
            print(f"{member.session.folder.path}: not saved: {member.error}", file=sys.stderr)


def _save(members: Sequence[Member]) -> None:
    """Save all, or nobody; but one that can't be leaves the others alone."""
    saved: Sequence[Member] = []
    rest = [*members]
    while len(saved) != len(rest):
        saved, mark = rest, f"1 of {len(rest)} {uuid4().hex}"
        for member in saved:
            with member.alone():
                folder, run = _last(member), member.run
                checkpoint.prepare(folder, run.step, run.state(), mark)
        rest = [member for member in saved if member.error is None]
    for member in saved:
        with member.alone():
            checkpoint.commit(_last(member), member.run.step, member.session.trainer.keep)
            member.save_best()


def complete(members: Sequence[Member]) -> None:
    """Complete a save of members that aren't opened yet, if a kill cut it short once all had prepared it."""
    prepared: dict[Member, Path] = {}
    for member in members:
        with member.alone():
            found = checkpoint.prepared(_last(member))
            if found is not None:
                prepared[member] = found
    if not prepared:
        return
    marks = {member: checkpoint.mark(path) for member, path in prepared.items()}
    there = Counter(marks.values())
    for member in members:
        with member.alone():
            committed = checkpoint.newest(_last(member))
            if committed is not None:
                there[checkpoint.mark(committed)] += 1
    for member, path in prepared.items():
        if marks[member].startswith(f"1 of {there[marks[member]]} "):
            with member.alone():
                checkpoint.commit(path.parent, checkpoint.step_of(path), member.session.trainer.keep)


def _last(member: Member) -> Path:
    return member.session.folder.checkpoints / "last"
