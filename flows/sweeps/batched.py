"""Which jobs of a sweep train together, and their training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from flows.core import Spec
from flows.errors import UserError
from flows.sweeps.together import Together
from flows.training.outcome import Outcome
from flows.training.session import Session

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
    groups: dict[tuple[str, Spec], dict[int, Session]] = {}
    for job, config in enumerate(configs):
        try:
            session = prepare(config)
        except Exception as error:  # whatever it is, it is this job's
            errors[job] = error
        else:
            groups.setdefault((_shape(config), session.dataset.spec), {})[job] = session
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
    return json.dumps([config["model"], objective, trainer.get("batch_size"), runtime], sort_keys=True)


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
        errors |= fit({job: session for job, session in opened.items() if not session.done})
        for job in opened.keys() - errors.keys():
            try:
                conclude(opened[job].outcome())
            except Exception as error:
                errors[job] = error
    return errors


def fit(sessions: Mapping[int, Session]) -> Errors:
    """Train each to its own end, as `Trainer.fit` would alone, all in lockstep while they last."""
    errors: Errors = {}
    with ExitStack() as stack:
        for place, session in enumerate(sessions.values()):
            stack.enter_context(session.training())
            run = session.run
            stack.enter_context(session.monitor.progress(run.step, run.steps, shown=place == 0))
        active = dict(sessions)
        while active:
            together = Together([session.run for session in active.values()])
            going = active
            while going.keys() == active.keys():
                going = step(together, active, errors)
            active = going
    return errors


def step(together: Together, active: Mapping[int, Session], errors: Errors) -> dict[int, Session]:
    """One step of all; those that go on."""
    sessions = [*active.values()]
    for _ in sessions[0].run.objective.cycle:
        for session, (loss, logs) in zip(sessions, together.backward(), strict=True):
            session.trainer.end_turn(session.run, loss, logs)
    for job, session in active.items():
        try:
            session.trainer.look_up(session.run, session.validation, session.monitor)
        except UserError as error:
            errors[job] = error
    return {job: session for job, session in active.items() if job not in errors and not session.done}
