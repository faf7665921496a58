"""One run of a batch, which may fail and end without the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import final

from flows.training.run import Run
from flows.training.session import Session


@final
class Member:
    """A session among others: what goes wrong with it is its own.

    Args:
        session: Not opened yet.
    """

    error: Exception | None = None
    """Why it failed: the first thing that went wrong."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._training = ExitStack()

    @property
    def run(self) -> Run:
        return self.session.run

    @property
    def goes_on(self) -> bool:
        """Whether it has steps to take; only an opened one knows."""
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
    def opened(self) -> Iterator[None]:
        """While the context is open, its folder is held, unless that failed."""
        folder = ExitStack()
        with self.alone():
            folder.enter_context(self.session.opened())
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
