"""Rows 27 and 28: no two processes share a run's directory."""

from __future__ import annotations

from datetime import datetime
from signal import SIGKILL, SIGSTOP

from lives import Life, live, until
from runs import KINDS, differences

from flows import cli

ARGUMENTS = (*KINDS["realnvp"], "run_dir=run")


def test_row_27_the_second_leaves_at_once_and_a_dead_ones_lock_is_none(tmp_path, whole):
    first = Life(ARGUMENTS, tmp_path)
    lock = tmp_path / "run" / ".lock"
    until(lambda: lock.exists() and lock.read_text())
    first.tell(SIGSTOP)
    second = live(*ARGUMENTS, cwd=tmp_path)
    assert second.status == 2
    assert second.err == f"train.py: error: run: process {first.process.pid} is training here\n"
    first.tell(SIGKILL)
    assert first.end().status == -SIGKILL
    assert lock.exists()
    third = live(*ARGUMENTS, cwd=tmp_path)
    assert third.status == 0, third.err
    assert not lock.exists()
    assert differences(tmp_path / "run", whole()) == []


class Stopped(datetime):
    """The same second for ever."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5)


def stopped_clock():
    """A trick: runs are named after one second, whenever they begin."""
    cli.datetime = Stopped


def test_row_28_two_processes_in_one_second_have_two_folders(tmp_path):
    few = [each for each in KINDS["realnvp"] if "max_steps" not in each]
    both = [Life([*few, "trainer.max_steps=1"], tmp_path, tricks=[stopped_clock]) for _ in range(2)]
    assert [life.end().status for life in both] == [0, 0]
    folders = [*(tmp_path / "outputs").iterdir()]
    assert len(folders) == 2
    assert {folder.name[:20] for folder in folders} == {"2026-01-02_03-04-05_"}
    assert all((folder / "run.json").exists() for folder in folders)
