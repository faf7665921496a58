"""One run of a batch, which may fail and end without the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import final

from flows.training.run import Run
from flows.training.session import Session
from flows.training.trainer import Due

_NOTHING = Due(last=False, best=False)


@final
class Member:
    """A session among others: what goes wrong with it is its own.

    Args:
        session: Not opened yet.
    """

    error: Exception | None = None
    """Why it failed: the first thing that went wrong."""
    due = _NOTHING
    """What its look has found to be saved, until it is."""
    diverged = False
    """Whether it had when it was left."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._training = ExitStack()

    def stand(self) -> None:
        """Take the run to where its folder says that it stands."""
        with self.alone():
            self.diverged = self.session.folder.facts().get("status") == "diverged"
            self.session.stand()

    @property
    def run(self) -> Run:
        return self.session.run

    @property
    def goes_on(self) -> bool:
        """Whether it has steps to take; only one that stands knows."""
        return self.error is None and not self.session.done

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While the context is open, an error ends this member, and nothing else.

        Raises: BrokenPipeError if nobody reads what the program prints, which ends all.
        """
        try:
            yield
        except BrokenPipeError:
            raise
        except Exception as error:  # whatever it is
            self.error = self.error or error

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the context is open, its folder is held, unless that failed."""
        folder = ExitStack()
        with self.alone():
            folder.enter_context(self.session.held())
        try:
            yield
        finally:  # an error inside the context concerns all members
            with self.alone():
                folder.close()

    @contextmanager
    def training(self, compiled: bool, members: int) -> Iterator[None]:
        """While the context is open, or until it leaves, it trains with others.

        Args:
            compiled: Whether its steps are.
            members: Runs that train together.
        """
        self._training.enter_context(self.alone())
        with self.alone():
            self._training.enter_context(self.session.training(compiled, members))
            progress = self.session.monitor.progress(self.run.step, self.run.steps, shown=False)
            self._training.enter_context(progress)
        try:
            yield
        finally:
            self._training.close()

    def look_up(self) -> None:
        """The look after a step, but for what is to be saved."""
        with self.alone():
            session = self.session
            self.due = session.trainer.look_up(session.run, session.validation, session.monitor)

    def unsaved(self) -> bool:
        """Whether it has gone on, or come to its end, since it was saved."""
        with self.alone():
            trains = self.goes_on or self.due.last
            return trains and self.session.trainer.unsaved(self.run, self.session.folder.path)
        return False

    def save_best(self) -> None:
        """Save it as its best, if it is: after it is saved, so that it never resumes before its best."""
        due, self.due = self.due, _NOTHING
        self.session.trainer.save(self.run, self.session.folder.path, due._replace(last=False))

    def leave(self, error: Exception | None = None) -> None:
        """End its training: note where it stands, and close its files.

        Args:
            error: What ended it, if it wasn't its own.
        """
        self.error = error = self.error or error
        if error is None:
            self._training.close()
        else:
            self._training.__exit__(type(error), error, error.__traceback__)
