"""Rows 1, 2 and 35: whenever a process dies, a whole checkpoint stays, and the run ends bit-equal."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from lives import Life, Trick, live, until
from runs import KINDS, differences, finite, leftovers, step
from tricks import dead_at, dead_pruning

from flows.training import checkpoint
from flows.training.checkpoint import Checkpoint

CALLS = {  # of a save, in their order
    "first file": ("flows.training.checkpoint:write_through", True),
    "fsync": ("os:fsync", True),
    "rename": ("pathlib:Path.rename", False),
    "renamed": ("pathlib:Path.rename", True),
    "prune": ("shutil:rmtree", False),
    "pruned": ("shutil:rmtree", True),
}


def content(value: float) -> Checkpoint:
    return Checkpoint({"model": {"w": torch.full((3,), value)}, "run": {}}, {"turn": 0})


def begun(kind: str, run: Path) -> Life:
    """A run that has its directory and goes on, if it hasn't ended already."""
    life, lock = Life([*KINDS[kind], "run_dir=run"], run.parent), run / ".lock"

    def there() -> bool:
        try:
            return lock.read_text() == str(life.process.pid) or life.process.exitcode is not None
        except FileNotFoundError:
            return life.process.exitcode is not None

    until(there)
    return life


def save(folder: Path, step: int, trick: Trick) -> int:
    """Write a checkpoint in a process that is played a trick; its status."""
    process = os.fork()
    if process == 0:
        trick()
        checkpoint.write(folder, step, content(2.0))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kept(run: Path) -> list[int]:
    """The steps that could be carried on from, whole ones, and the best."""
    found = [checkpoint.newest(run / "checkpoints" / each) for each in ("last", "best")]
    return [int(path.name) for path in found if path is not None]


def test_row_01_killed_at_random_moments_it_ends_bit_equal(kind, tmp_path, whole):
    run, moments, ends = tmp_path / "run", random.Random(1), []
    for _ in range(3):
        life = begun(kind, run)
        time.sleep(moments.uniform(0, 0.1))
        life.tell(SIGKILL)
        ends.append(life.end().status)
        before = step(run)
        assert before == 0 or finite(checkpoint.at(run / "checkpoints" / "last", before))
    assert -SIGKILL in ends
    assert live(*KINDS[kind], "run_dir=run", cwd=tmp_path).status == 0
    assert differences(run, whole(kind)) == []


def test_row_01_killed_after_its_last_step_it_is_finished_all_the_same(tmp_path, whole):
    """Between the last checkpoint and the note of it."""
    arguments = (*KINDS["realnvp"], "run_dir=run")
    tricks = [dead_at("flows.training.session:Session._note", 1)]
    assert live(*arguments, cwd=tmp_path, tricks=tricks).status == 9
    assert live(*arguments, cwd=tmp_path).status == 0
    assert differences(tmp_path / "run", whole()) == []


@pytest.mark.parametrize("turn", [9, 10, 11, 12])
@pytest.mark.slow
def test_row_01_killed_at_any_turn_of_the_critic_it_ends_bit_equal(turn, tmp_path, whole):
    """Three turns of the critic, one of the flow; both players in one checkpoint."""
    tricks = [dead_at("flows.training.run:Run.end_turn", 4 * turn + turn % 4)]
    assert live(*KINDS["wgan_gp"], "run_dir=run", cwd=tmp_path, tricks=tricks).status == 9
    assert live(*KINDS["wgan_gp"], "run_dir=run", cwd=tmp_path).status == 0
    assert differences(tmp_path / "run", whole("wgan_gp")) == []


@pytest.mark.parametrize("when", CALLS)
def test_row_02_a_crash_within_a_save_leaves_the_old_checkpoint_or_the_new(when, tmp_path):
    """Also where one is written in the place of another of the same step."""
    place, after = CALLS[when]
    for new in (7, 5):
        folder = tmp_path / str(new)
        checkpoint.write(folder, 5, content(1.0))
        for call in range(1, 12):
            status = save(folder, new, dead_at(place, call, after))
            found = checkpoint.newest(folder)
            assert found is not None, (when, call)
            value = float(checkpoint.read(found).tensors["model"]["w"][0])
            assert value in (1.0, 2.0)
            if status == 0:
                break
            if value == 2.0:  # it was all but done
                checkpoint.write(folder, 5, content(1.0))
        assert (status, value) == (0, 2.0)
        assert call > 1  # it did die, at least once
        assert [path.name for path in folder.iterdir()] == [f"{new:08d}"]


@pytest.mark.parametrize("keep", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_row_35_best_and_last_survive_a_crash_while_pruning(keep, tmp_path):
    """With the best long before the last: the learning rate is far too high."""
    worse = ("trainer.optimizer.lr=2.0", "trainer.warmup=0", f"trainer.keep={keep}", "trainer.ema=null")
    whole = live(*KINDS["realnvp"], *worse, "run_dir=whole", cwd=tmp_path)
    assert whole.status == 0, whole.err
    end = sorted(kept(tmp_path / "whole"))
    assert end[0] < end[1], "the best is the last: the test shows nothing"
    for removal in (2, 3):
        tricks = [dead_pruning(removal)]
        assert live(*KINDS["realnvp"], *worse, "run_dir=run", cwd=tmp_path, tricks=tricks).status == 9
        assert len(kept(tmp_path / "run")) == 2
    assert live(*KINDS["realnvp"], *worse, "run_dir=run", cwd=tmp_path).status == 0
    assert differences(tmp_path / "run", tmp_path / "whole") == []
    assert leftovers(tmp_path / "run") == []
    for kind, count in (("last", keep), ("best", 1)):
        assert len([*checkpoint.steps(tmp_path / "run" / "checkpoints" / kind)]) == count
