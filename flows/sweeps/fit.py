"""The training loop of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from flows.errors import UserError
from flows.sweeps.together import Together
from flows.training.session import Session


def fit(sessions: Sequence[Session]) -> dict[Session, UserError]:
    """Train each to its own end, as `Trainer.fit` would alone, all in lockstep while they last.

    Returns: Why those that failed did; the others went on without them.
    """
    failed: dict[Session, UserError] = {}
    with ExitStack() as stack:
        for place, session in enumerate(sessions):
            run = session.run
            stack.enter_context(session.monitor.progress(run.step, run.steps, shown=place == 0))
        active = list(sessions)
        while active:
            together = Together([session.run for session in active])
            while len(active) == len(together.runs):
                for session, (loss, logs) in zip(active, together.backward(), strict=True):
                    session.trainer.end_turn(session.run, loss, logs)
                if active[0].run.turn % len(active[0].run.objective.cycle) == 0:
                    active = [session for session in active if _goes_on(session, failed)]
    return failed


def _goes_on(session: Session, failed: dict[Session, UserError]) -> bool:
    """Between two steps: log, validate and save what is due; whether more is to come."""
    try:
        session.trainer.look_up(session.run, session.validation, session.monitor)
    except UserError as error:
        failed[session] = error
        return False
    return not session.done
