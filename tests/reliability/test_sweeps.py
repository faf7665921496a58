"""Row 26, and rows 1 and 3 for sweeps: what goes wrong stays with one job, and nothing is lost."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from signal import SIGTERM

import pytest
from lives import Life, live, until
from runs import BATCHES, KINDS, differences, facts, leftovers, step
from tricks import dead_at, dead_saving, fault_in, told_at

SWEEP = ("-m", *KINDS["realnvp"], "run_dir=s", "seed=0,1,2")
LAUNCHERS = {
    "basic": (),
    "batched": ("hydra/launcher=batched",),
    "processes": ("hydra/launcher=processes", "hydra.launcher.n_jobs=2"),
}
LOOK = "flows.training.trainer:Trainer.look_up"


def agree(ours: Path, theirs: Path, jobs: str = "012") -> None:
    assert {job: differences(ours / job, theirs / job) for job in jobs} == {job: [] for job in jobs}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a sweep by some launcher that nothing happened to."""
    made: dict[str, Path] = {}

    def sweep(launcher: str) -> Path:
        if launcher not in made:
            folder = tmp_path_factory.mktemp(launcher)
            done = live(*SWEEP, *LAUNCHERS[launcher], cwd=folder)
            assert done.status == 0, done.err
            made[launcher] = folder / "s"
        return made[launcher]

    return sweep


@pytest.mark.parametrize("launcher", ["batched", pytest.param("basic", marks=pytest.mark.slow)])
def test_row_26_a_job_that_meets_a_bug_leaves_the_others_alone(launcher, tmp_path, undisturbed):
    """It is in the scores of the second."""
    end = live(
        *SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=[partial(fault_in, LOOK, "s/1", KeyError("a bug"))]
    )
    assert end.status == 1
    assert end.err.splitlines()[-2:] == [
        "train.py: error: 1 of 3 jobs failed:",
        "#1 seed=1: KeyError: 'a bug'",
    ]
    reason, _, *trace = (tmp_path / "s/1/error.txt").read_text().splitlines()
    assert (reason, trace[0]) == ("KeyError: 'a bug'", "Traceback (most recent call last):")
    assert [facts(tmp_path / "s" / job)["status"] for job in "02"] == ["finished"] * 2
    if launcher == "basic":  # batched, rows of another size add up in another order
        agree(tmp_path / "s", undisturbed(launcher), "02")
    assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path).status == 0
    assert not [*(tmp_path / "s").glob("*/error.txt")]


@pytest.mark.slow
def test_row_26_a_job_whose_directory_vanishes_leaves_the_others_alone(tmp_path):
    tricks = [partial(fault_in, LOOK, "s/1", None)]
    end = live(*SWEEP, *LAUNCHERS["batched"], cwd=tmp_path, tricks=tricks)
    assert end.status == 1
    assert "Traceback" not in end.err
    assert end.err.splitlines()[-2:] == [
        "train.py: error: 1 of 3 jobs failed:",
        "#1 seed=1: s/1/metrics.csv: can't be written: No such file or directory",
    ]
    assert [facts(tmp_path / "s" / job)["status"] for job in "02"] == ["finished"] * 2
    assert [path.parent.name for path in (tmp_path / "s").glob("*/error.txt")] == ["1"]
    assert sorted(path.parent.name for path in (tmp_path / "s").glob("*/loss.png")) == ["0", "2"]
    assert end.out.count("| run s/") == 2


@pytest.mark.slow
def test_row_31_a_sweep_marks_what_exploded(tmp_path):
    hot = ("trainer.optimizer.lr=1e-3,1e30", "trainer.warmup=0", "seed=0,1")
    end = live(*SWEEP[:-1], *hot, *LAUNCHERS["batched"], cwd=tmp_path)
    assert end.status == 1
    states = [facts(tmp_path / "s" / job)["status"] for job in "0123"]
    assert states == ["finished", "finished", "diverged", "diverged"]
    table = (tmp_path / "s/summary/runs.csv").read_text()
    assert table.count("diverged") == 2


@pytest.mark.parametrize("launcher", ["batched", pytest.param("basic", marks=pytest.mark.slow)])
def test_row_03_a_sweep_told_to_stop_saves_every_run_and_ends_bit_equal(launcher, tmp_path, undisturbed):
    """Batched within the scores of the second of three, so that one has been looked at and two have not."""
    tricks = [told_at("flows.training.validation:Validation.__call__", 5, SIGTERM)]
    end = live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=tricks)
    assert (end.status, end.err.splitlines()[-1]) == (143, "train.py: terminated")
    if launcher == "batched":
        assert [step(tmp_path / "s" / job) for job in "012"] == [12, 12, 12]
        assert [facts(tmp_path / "s" / job)["status"] for job in "012"] == ["interrupted"] * 3
    assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path).status == 0
    agree(tmp_path / "s", undisturbed(launcher))


@pytest.mark.parametrize("launcher", ["basic", "batched"])
@pytest.mark.slow
def test_row_01_a_sweep_that_is_killed_ends_bit_equal(launcher, tmp_path, undisturbed):
    for look in (8, 25):
        assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=[dead_at(LOOK, look)]).status == 9
    assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path).status == 0
    agree(tmp_path / "s", undisturbed(launcher))


KILLS = (("prepare", 8, (6, 6)), ("commit", 16, (16, 12)), ("commit", 24, (24, 20)))  # and what each leaves


@pytest.mark.parametrize(
    ("model", "kills"),
    [("realnvp", KILLS[1:2]), *(pytest.param(model, KILLS, marks=pytest.mark.slow) for model in BATCHES)],
)
def test_row_01_a_batch_killed_between_two_members_saves_ends_bit_equal(model, kills, tmp_path):
    """Before and after one has saved what the other hasn't; and between their ends."""
    members, settings = BATCHES[model]
    sweep = ("-m", *settings, f"seed={','.join(map(str, range(members)))}", *LAUNCHERS["batched"])
    assert live(*sweep, "run_dir=whole", cwd=tmp_path).status == 0
    for function, at, left in kills:
        tricks = [dead_saving(function, "s/1/checkpoints/last", at)]
        assert live(*sweep, "run_dir=s", cwd=tmp_path, tricks=tricks).status == 9
        assert (step(tmp_path / "s/0"), step(tmp_path / "s/1")) == left
    assert live(*sweep, "run_dir=s", cwd=tmp_path).status == 0
    agree(tmp_path / "s", tmp_path / "whole", "012"[:members])
    assert leftovers(tmp_path / "s") == []


@pytest.mark.slow
def test_row_03_processes_that_are_told_to_stop_save_and_end_bit_equal(tmp_path):
    longer = [*SWEEP, "trainer.max_steps=4000", "trainer.validate_every=400", *LAUNCHERS["processes"]]
    process = Life(longer, tmp_path)
    until(lambda: all(step(tmp_path / "s" / job) for job in "01"))
    process.tell(SIGTERM)
    end = process.end()
    assert end.status == 143, end.err
    for job in "01":
        run = tmp_path / "s" / job
        assert (facts(run)["status"], facts(run)["step"]) == ("interrupted", step(run))
    assert end.err.count("saved; the same command carries on") == 2
    assert live(*longer, cwd=tmp_path).status == 0
    assert live(*longer, "run_dir=whole", cwd=tmp_path).status == 0
    agree(tmp_path / "s", tmp_path / "whole")
