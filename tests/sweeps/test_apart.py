"""A function in a child: what it says comes back, and nothing of it is left."""

from __future__ import annotations

import colorsys
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from flows.errors import UserError
from flows.signals import Stopped
from flows.sweeps.apart import Died, apart

ROOT = Path(__file__).parents[2]


def throw(error):
    raise error


def test_what_it_gives_back_comes_back_and_no_process_is_left():
    pid, parent, seen = apart(lambda: (os.getpid(), os.getppid(), {"a": None}))
    assert (parent, seen) == (os.getpid(), {"a": None})
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "error", [UserError("no"), BrokenPipeError(32, "x"), KeyboardInterrupt(), Stopped(SIGTERM)]
)
def test_what_is_said_by_raising_is_raised(error):
    with pytest.raises(type(error)) as raised:
        apart(partial(throw, error))
    assert raised.value.args == error.args


ENDS = {
    "status 0": (partial(os._exit, 0), "its process ended with status 0 before it was done"),
    "status 3": (partial(os._exit, 3), "its process ended with status 3 before it was done"),
    "exit": (partial(sys.exit, 0), "its process ended with status 1 before it was done"),
    "bug": (partial(throw, KeyError("a bug")), "its process ended with status 1 before it was done"),
    "unspeakable": (lambda: lambda: None, "its process ended with status 1 before it was done"),
    "killed": (
        partial(signal.raise_signal, signal.SIGKILL),
        "its process was ended by signal 9 (Killed), perhaps for want of memory",
    ),
    "ended": (
        partial(signal.raise_signal, signal.SIGALRM),
        "its process was ended by signal 14 (Alarm clock)",
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_death_is_told_of(how, capfd):
    end, says = ENDS[how]
    with pytest.raises(Died) as died:
        apart(end)
    assert str(died.value) == says
    assert ("Traceback" in capfd.readouterr().err) == ("status 1" in says)


def test_a_death_is_noticed_though_children_live_on():
    def leave():
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os.write(ours, b" woke")
            os._exit(0)
        os.write(ours, str(child).encode())
        os._exit(3)

    theirs, ours = os.pipe()
    with pytest.raises(Died):
        apart(leave)
    os.kill(int(os.read(theirs, 99)), signal.SIGKILL)
    os.close(ours)
    assert os.read(theirs, 99) == b""
    os.close(theirs)


def test_where_nobody_hears_of_children_what_was_said_counts():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert apart(lambda: 7) == 7
        with pytest.raises(Died):
            apart(partial(os._exit, 3))
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_it_needs_is_imported_here(monkeypatch):
    monkeypatch.delitem(sys.modules, colorsys.__name__)
    assert apart(lambda: colorsys.__name__ in sys.modules, [colorsys.__name__])
    assert colorsys.__name__ in sys.modules


HEAD = f"""
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from flows.signals import heeded, stop_if_asked
from flows.sweeps.apart import apart

def rest():
    Path("pid").write_text(str(os.getpid()))
    Path("rests").touch()
    while True:
        heed()
        time.sleep(0.01)

"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Start a program that may call `apart`."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    heeding = partial(signal.signal, SIGINT, signal.default_int_handler)  # which the background doesn't
    started = []

    def start(text):
        script = tmp_path / "program.py"
        script.write_text(HEAD + text)
        command = [sys.executable, script]
        options = {"cwd": tmp_path, "start_new_session": True, "preexec_fn": heeding, "text": True}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, **options))
        return started[-1]

    yield start
    for each in started:
        with suppress(ProcessLookupError):
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        each.stdout.close()


def until(found, seconds=30.0):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_what_waits_to_be_written_is_written_once_and_in_order(program):
    text = "print('before')\napart(lambda: print('within'))\nprint('after')\n"
    assert program(text).communicate()[0] == "before\nwithin\nafter\n"


@pytest.mark.parametrize("sign", [SIGINT, SIGTERM])
def test_who_is_told_to_stop_hands_it_on_and_waits(program, tmp_path, sign):
    text = """
def heed():
    try:
        stop_if_asked()
    except KeyboardInterrupt:
        time.sleep(0.5)
        Path("saved").touch()
        raise

with heeded():
    try:
        apart(rest)
    except KeyboardInterrupt as stop:
        print(stop.sign.name, Path("saved").exists())
"""
    running = program(text)
    until((tmp_path / "rests").exists)
    running.send_signal(sign)
    assert running.communicate(timeout=30)[0] == f"{sign.name} True\n"


def test_a_second_interrupt_ends_also_who_does_not_listen(program, tmp_path):
    text = """
heed = lambda: None
with heeded():
    try:
        apart(rest)
    except KeyboardInterrupt:
        print("interrupted")
"""
    running = program(text)
    until((tmp_path / "rests").exists)
    for _ in range(2):
        running.send_signal(SIGINT)
        time.sleep(0.5)
    assert running.communicate(timeout=30)[0] == "interrupted\n"
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


def test_no_child_outlives_its_parent(program, tmp_path):
    running = program("heed = lambda: None\napart(rest)\n")
    until((tmp_path / "rests").exists)
    running.kill()
    running.wait()
    until(lambda: not Path("/proc", (tmp_path / "pid").read_text()).exists())
