"""What a log shows in the place of a bar."""

from __future__ import annotations

import pytest

from flows.training import lines
from flows.training.lines import Lines


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [1000.0]
    monkeypatch.setattr(lines.time, "perf_counter", lambda: now[0])
    return now


def test_a_line_every_half_a_minute_says_how_far_it_is(clock, capsys):
    shown = Lines(10, 2010)
    for step in range(11, 411):
        clock[0] += 0.5
        shown.tell(step)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == "step 70 of 2,010, 16 min left"
    assert len(said.err.splitlines()) == 6  # in 200 s
    assert said.err.splitlines()[-1] == "step 370 of 2,010, 14 min left"


def test_what_is_quick_and_the_last_step_say_nothing(clock, capsys):
    shown = Lines(0, 20)
    for step in range(1, 20):
        clock[0] += 1.0
        shown.tell(step)
    clock[0] += 100.0
    shown.tell(20)
    assert capsys.readouterr() == ("", "")


def test_a_look_before_the_first_step_says_nothing(clock, capsys):
    shown = Lines(10, 20)
    clock[0] += 100.0
    shown.tell(10)
    assert capsys.readouterr() == ("", "")
