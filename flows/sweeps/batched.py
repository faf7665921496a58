"""Which jobs of a sweep train together, and their training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from flows.core import Spec
from flows.objectives import Objective
from flows.signals import Stopped, stop_if_asked
from flows.sweeps.member import Member
from flows.sweeps.saving import complete, save_due, save_stopped
from flows.sweeps.together import Together
from flows.training.bar import Bar
from flows.training.outcome import Outcome
from flows.training.session import Session, told_when_stopped

Config = dict[str, Any]
Errors = dict[int, Exception]  # by the place of the job


def train_all(
    configs: Sequence[Config],
    prepare: Callable[[Config], Session],
    conclude: Callable[[Outcome], None],
    size: int,
) -> list[Exception | None]:
    """Train each configuration's run, those of equal shape together.

    Args:
        configs: Each names a folder of its own.
        prepare: Builds what a configuration describes.
        conclude: Says what came of it.
        size: Most runs in one batch.

    Returns: For each why it failed, or None.
    Raises: BrokenPipeError if nobody reads what the program prints.
    """
    errors: Errors = {}
    groups: dict[tuple[str, Spec, int], dict[int, Session]] = {}
    for job, config in enumerate(configs):
        try:
            session = prepare(config)
        except BrokenPipeError:
            raise
        except Exception as error:  # whatever it is, it is this job's
            errors[job] = error
        else:
            shape = _shape(config, session.trainer.objective), session.dataset.spec, _batch(session)
            groups.setdefault(shape, {})[job] = session
    for group in groups.values():
        while group:  # removed, so that runs that have ended don't fill the memory
            errors |= _train({job: group.pop(job) for job in [*group][:size]}, conclude)
    return [errors.get(job) for job in range(len(configs))]


def _shape(config: Mapping[str, Any], objective: Objective) -> str:
    """What is equal for runs that can train together: all that a gradient's structure depends on.

    Numbers that the objective keeps as floats aren't part of it: `Together` has one for each run.
    """
    kept = {name: value for name, value in vars(objective).items() if isinstance(value, float)}
    given = config["trainer"]["objective"].items()
    structure = {k: v for k, v in given if k not in kept or kept[k] != v}
    return json.dumps([config["model"], structure, config["runtime"]], sort_keys=True)


def _batch(session: Session) -> int:
    """Examples of a turn: no more than there are."""
    source = session.dataset.source("train")
    return min(session.trainer.batch_size, 0 if source is None else len(source))


def _train(sessions: Mapping[int, Session], conclude: Callable[[Outcome], None]) -> Errors:
    """Open, train together, conclude; one that fails leaves the others alone."""
    members = {job: Member(session) for job, session in sessions.items()}
    next(iter(sessions.values())).runtime.enter()  # equal for all; other groups were prepared since
    with ExitStack() as folders:
        for member in members.values():
            folders.enter_context(member.held())
        complete([member for member in members.values() if member.error is None])
        for member in members.values():
            if member.error is None:
                member.stand()
        standing = [member for member in members.values() if member.error is None]
        fit([member for member in standing if not member.diverged])
        fit([member for member in standing if member.diverged])  # later, for it had left the others' batch
        for member in members.values():
            if member.error is None:
                with member.alone():
                    conclude(member.session.outcome())
    return {job: member.error for job, member in members.items() if member.error is not None}


def fit(members: Sequence[Member]) -> None:
    """Train each to its own end, as `Trainer.fit` would alone, all in lockstep while they last.

    Compiled, the batch keeps its size to the end, and rows of runs that have ended are computed for nothing.

    Args:
        members: Ones of equal shape, which stand.
    """
    active = [member for member in members if member.goes_on]
    if not active:
        return
    active[0].run.resume_dropout()  # one that has ended may have been opened since
    # only if asked to: it takes a minute for each size, and even splines gain no more than a quarter
    compiled = any(member.session.runtime.compile is True for member in active)
    with told_when_stopped(active[0].run), ExitStack() as trainings:
        for member in active:
            trainings.enter_context(member.training(compiled, len(active)))
        try:
            with Bar(_furthest(active), max(member.run.steps for member in active)) as bar:
                take_steps(active, compiled, bar)
        except Stopped:
            save_stopped(active)
            raise
        except BrokenPipeError:
            raise
        except Exception as error:  # the batch's, and so that of every run that goes on
            for member in active:
                if member.goes_on:
                    member.leave(error)


def take_steps(members: Sequence[Member], compiled: bool, bar: Bar) -> None:
    """Take steps with all, then with those that go on, until none does."""
    going = look_up(dict(enumerate(members)))  # at those that were stopped between a step and its look
    while going:
        going = dict(enumerate(going.values()))
        captured = members[0].session.runtime.captures  # equal for all
        together = Together([member.run for member in going.values()], compiled, captured)
        size = len(going)
        while going and (compiled or len(going) == size):
            stop_if_asked()
            stepped, going = going, step(together, going)
            bar.move(_furthest(stepped.values()))


def _furthest(members: Iterable[Member]) -> int:
    """The step of the one that has come furthest, which is what a bar for all of them shows."""
    return max(member.run.step for member in members)


def step(together: Together, going: Mapping[int, Member]) -> Mapping[int, Member]:
    """Take one step with members, by their rows; return those that still go on."""
    for _ in range(len(together.runs[0].objective.cycle)):
        for member in going.values():
            member.session.trainer.pace(member.run)
        for member, found in zip(going.values(), together.backward(going), strict=True):
            member.run.end_turn(*found)
    return look_up(going)


def look_up(members: Mapping[int, Member]) -> Mapping[int, Member]:
    """Look at each that has taken a step since its last look, and save; return those that go on."""
    looked = [member for member in members.values() if member.goes_on and member.run.seen < member.run.step]
    for member in looked:
        member.look_up()
    save_due([member for member in looked if member.error is None])
    going = {row: member for row, member in members.items() if member.goes_on}
    if len(going) < len(members):
        for member in members.values():
            if member.goes_on:
                member.session.share(len(going))
            else:
                member.leave()
    return going
