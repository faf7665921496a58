"""What every fuzzer holds its target to: an answer or one line, in time, and nothing written elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.errors import UserError, lacks_memory
from flows.refusals import explain

SECONDS = 60  # that one example may take, on a busy machine


def shares(few: int, many: int) -> Any:
    """A few examples in every test run, many in the slow one."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


def fuzz(examples: int, strategy: st.SearchStrategy, attempt: Callable[[Any], object], folder: Path) -> None:
    """Make an attempt on so many examples, always the same ones; nothing may be written beside `folder`."""
    around = {path for path in folder.parent.iterdir() if path != folder}

    @settings(max_examples=examples, suppress_health_check=[*HealthCheck])
    @given(strategy)
    def each(example: Any) -> None:
        with in_time():
            tolerated(lambda: attempt(example))
        assert {path for path in folder.parent.iterdir() if path != folder} == around

    each()


def tolerated(attempt: Callable[[], object]) -> None:
    """Anything but a refusal in one line is a bug."""
    try:
        attempt()
    except UserError as error:
        assert "\n" not in explain(error)
        assert explain(error).isprintable()
    except Exception as error:
        if not lacks_memory(error):
            raise


@contextmanager
def in_time() -> Iterator[None]:
    """Meanwhile nothing may hang."""

    def late(*_: Any) -> None:
        raise AssertionError(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of these, some bytes of it changed, cut off or put in."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data))) if draw(st.booleans()) else draw(st.integers(0, 200))
        place = min(place, len(data))
        kind = draw(st.sampled_from(["change", "change", "change", "cut", "insert", "drop"]))
        some = draw(st.binary(min_size=1, max_size=8))
        if kind == "change":
            data[place : place + len(some)] = some
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data[place:place] = some
        else:
            del data[place : place + len(some)]
    return bytes(data)
