"""Which jobs of a sweep train together, and their training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from flows.core import Spec
from flows.signals import Stopped, check
from flows.sweeps.together import Together
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
    """
    errors: Errors = {}
    groups: dict[tuple[str, Spec, int], dict[int, Session]] = {}
    for job, config in enumerate(configs):
        try:
            session = prepare(config)
        except Exception as error:  # whatever it is, it is this job's
            errors[job] = error
        else:
            shape = _shape(config), session.dataset.spec, _batch(session)
            groups.setdefault(shape, {})[job] = session
    for group in groups.values():
        jobs = [*group]
        for start in range(0, len(jobs), size):
            errors |= _train({job: group[job] for job in jobs[start : start + size]}, conclude)
    return [errors.get(job) for job in range(len(configs))]


def _shape(config: Mapping[str, Any]) -> str:
    """What runs have in common whose steps are one: all that a gradient's structure depends on."""
    trainer = config["trainer"]
    objective = {k: v for k, v in trainer["objective"].items() if not isinstance(v, float)}
    runtime = config["runtime"]
    return json.dumps([config["model"], objective, runtime], sort_keys=True)


def _batch(session: Session) -> int:
    """Examples of a turn: no more than there are."""
    source = session.dataset.source("train")
    return min(session.trainer.batch_size, 0 if source is None else len(source))


def _train(sessions: Mapping[int, Session], conclude: Callable[[Outcome], None]) -> Errors:
    """Open, train together, conclude; one that fails leaves the others alone."""
    errors: Errors = {}
    with ExitStack() as stack:
        opened: dict[int, Session] = {}
        for job, session in sessions.items():
            try:
                stack.enter_context(session.opened())
                opened[job] = session
            except Exception as error:
                errors[job] = error
        try:
            if opened:
                fit(opened, errors)
        except Exception as error:  # of the batch, and so of all its runs
            errors |= dict.fromkeys(opened.keys() - errors.keys(), error)
        for job, session in opened.items():
            try:
                if job not in errors:
                    conclude(session.outcome())
            except Exception as error:
                errors[job] = error
    return errors


def fit(sessions: Mapping[int, Session], errors: Errors) -> None:
    """Train each to its own end, as `Trainer.fit` would alone, all in lockstep while they last.

    Compiled, the batch keeps its size to the end, and rows of runs that have ended are computed for nothing.

    Args:
        sessions: Opened ones of equal shape, by job.
        errors: Takes why those that fail do.
    """
    active = {job: session for job, session in sessions.items() if not session.done}
    with ExitStack() as stack:
        stack.enter_context(told_when_stopped(next(iter(sessions.values())).run))
        # only if asked to: batched splines gain nothing by it
        compiled = any(session.runtime.compile is True for session in sessions.values())
        for place, session in enumerate(active.values()):
            stack.enter_context(session.training(compiled, len(active)))
            run = session.run
            stack.enter_context(session.monitor.progress(run.step, run.steps, shown=place == 0))
        try:
            active = look_up(active, errors)  # at those that were stopped between a step and this
            while active:
                joined = sessions if compiled else active
                together = Together([session.run for session in joined.values()], compiled)
                places = {job: row for row, job in enumerate(joined)}
                going = active
                while going and (compiled or going.keys() == active.keys()):
                    check()
                    going = step(together, {places[job]: job for job in going}, sessions, errors)
                active = going
        except Stopped:
            with ExitStack() as saved:  # each, even if one can't be
                for session in sessions.values():
                    saved.callback(session.trainer.save_stopped, session.run, session.folder.path)
            raise


def step(
    together: Together, rows: Mapping[int, int], sessions: Mapping[int, Session], errors: Errors
) -> dict[int, Session]:
    """One step of the jobs that stand in these rows; those that go on."""
    active = {job: sessions[job] for job in rows.values()}
    for _ in range(len(together.runs[0].objective.cycle)):
        for session, (loss, logs) in zip(active.values(), together.backward(rows), strict=True):
            session.trainer.end_turn(session.run, loss, logs)
    return look_up(active, errors)


def look_up(active: Mapping[int, Session], errors: Errors) -> dict[int, Session]:
    """The look at each that has taken a step since the last; those that go on."""
    for job, session in active.items():
        try:
            if session.run.seen < session.run.step:
                session.trainer.look_up(session.run, session.validation, session.monitor)
        except Exception as error:  # of its scores, figures or folder, and so its own
            errors[job] = error
    return {job: session for job, session in active.items() if job not in errors and not session.done}
