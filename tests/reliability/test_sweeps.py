"""Row 26, and rows 1, 3 and 4 for sweeps: what goes wrong stays with one job, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest
from lives import ROOT, Life, live, until
from runs import BATCHES, KINDS, differences, facts, leftovers, step
from tricks import at, at_step, dead_saving, fault_in, orphaned, tell, tell_all, tell_sweep

SWEEP = ("-m", *KINDS["realnvp"], "run_dir=s", "seed=0,1,2")
LAUNCHERS = {
    "basic": (),
    "batched": ("hydra/launcher=batched",),
    "processes": ("hydra/launcher=processes", "hydra.launcher.n_jobs=2"),
}
JOB = " ".join(["#1", *KINDS["realnvp"]])  # as it is announced
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


DEATHS = {
    "status 0": (partial(os._exit, 0), "its process ended with status 0 before it was done"),
    "status 3": (partial(os._exit, 3), "its process ended with status 3 before it was done"),
    "killed": (
        partial(tell, SIGKILL),
        "its process was ended by signal 9 (Killed), perhaps for want of memory",
    ),
}
EACH_DEATH = [each if each == "status 0" else pytest.param(each, marks=pytest.mark.slow) for each in DEATHS]


def reasons(sweep: Path) -> dict[str, str]:
    """Why each job failed that did, as its folder says."""
    return {path.parent.name: path.read_text().splitlines()[0] for path in sorted(sweep.glob("*/error.txt"))}


@pytest.mark.slow
@pytest.mark.parametrize("death", DEATHS)
def test_row_26_a_job_whose_process_dies_leaves_the_others_alone(death, tmp_path, undisturbed):
    die, reason = DEATHS[death]
    end = live(*SWEEP, cwd=tmp_path, tricks=[partial(at_step, LOOK, "s/1", 9, die)])
    assert (end.status, end.out.count("| run s/")) == (1, 2)
    assert end.err.splitlines() == [
        f"train.py: error: {JOB} seed=1: {reason}",
        "train.py: error: 1 of 3 jobs failed:",
        f"#1 seed=1: {reason}",
    ]
    assert reasons(tmp_path / "s") == {"1": reason}
    agree(tmp_path / "s", undisturbed("basic"), "02")
    assert live(*SWEEP, cwd=tmp_path).status == 0
    assert reasons(tmp_path / "s") == {}
    agree(tmp_path / "s", undisturbed("basic"))


@pytest.mark.parametrize("death", EACH_DEATH)
def test_row_26_a_batch_that_dies_fails_the_jobs_that_it_had_not_finished(death, tmp_path):
    die, reason = DEATHS[death]
    sweep = (*SWEEP[:-1], "trainer.max_steps=6,24", "seed=0,1", *LAUNCHERS["batched"])
    end = live(*sweep, cwd=tmp_path, tricks=[partial(at_step, LOOK, "s/3", 9, die)])
    assert end.status == 1
    assert end.err.splitlines()[-3:] == [
        "train.py: error: 2 of 4 jobs failed:",
        *(f"#{k} trainer.max_steps=24 seed={k - 2}: {reason}" for k in (2, 3)),
    ]
    assert reasons(tmp_path / "s") == {"2": reason, "3": reason}
    assert [facts(tmp_path / "s" / job)["status"] for job in "01"] == ["finished"] * 2
    assert live(*sweep, cwd=tmp_path).status == 0
    assert reasons(tmp_path / "s") == {}
    assert [facts(tmp_path / "s" / job)["step"] for job in "0123"] == [6, 6, 24, 24]


@pytest.mark.slow
def test_row_26_what_was_finished_before_under_a_smaller_budget_has_failed_too(tmp_path):
    sweep = (*SWEEP[:-1], "seed=0,1", *LAUNCHERS["batched"])
    assert live(*sweep, "trainer.max_steps=6", cwd=tmp_path).status == 0
    soon = partial(at, "flows.training.fingerprint:fingerprint", 1, partial(os._exit, 0))
    end = live(*sweep, cwd=tmp_path, tricks=[soon])
    assert (end.status, [*reasons(tmp_path / "s")]) == (1, ["0", "1"])
    assert live(*sweep, "trainer.max_steps=6", cwd=tmp_path, tricks=[soon]).status == 0  # all was done


PROGRAM = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from flows.cli import entry

def task(config):
    folder = Path(config["run_dir"])
    ways = {{
        1: lambda: os._exit(0),
        2: lambda: os._exit(3),
        3: lambda: os.kill(os.getpid(), signal.SIGKILL),
        4: lambda: sys.exit(0),
    }}
    if config["seed"] in ways and not (folder / "config.yaml").exists():
        (folder / "config.yaml").touch()
        ways[config["seed"]]()
    (folder / "did").touch()

if __name__ == "__main__":
    entry("config")(task)()
"""
DIED = "its process died, perhaps for want of memory (hydra.launcher.n_jobs=1 needs least)"
SAID = {"basic": [reason for _, reason in DEATHS.values()], "processes": [DIED] * 3}


@pytest.mark.parametrize("launcher", SAID)
def test_row_26_however_jobs_end_their_processes_the_others_finish(launcher, tmp_path):
    """Under the launchers that give each job its own."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py", "-m", "run_dir=s", "seed=range(6)", *LAUNCHERS[launcher]]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    told = {str(k): reason for k, reason in enumerate([*SAID[launcher], "SystemExit: 0"], 1)}
    assert end.returncode == 1, end.stderr
    assert sorted(end.stdout.splitlines()) == [f"#{k} seed={k}" for k in range(6)]
    assert end.stderr.splitlines()[-5:] == [
        "program.py: error: 4 of 6 jobs failed:",
        *(f"#{k} seed={k}: {reason}" for k, reason in told.items()),
    ]
    assert reasons(tmp_path / "s") == told
    assert [(tmp_path / f"s/{k}/did").exists() for k in range(6)] == [True, *[False] * 4, True]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (again.returncode, again.stderr, reasons(tmp_path / "s")) == (0, "", {})
    assert all((tmp_path / f"s/{k}/did").exists() for k in range(6))


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


TELL = {
    "job": partial(tell, SIGTERM),  # alone
    "sweep": partial(tell_sweep, SIGTERM),  # alone
    "both": partial(tell_all, SIGTERM),
}


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        ("batched", "sweep"),
        *(
            pytest.param(launcher, told, marks=pytest.mark.slow)
            for launcher, told in product(("basic", "batched"), ("job", "sweep", "both"))
            if (launcher, told) != ("batched", "sweep")
        ),
    ],
)
def test_row_03_a_sweep_told_to_stop_saves_every_run_and_ends_bit_equal(
    launcher, told, tmp_path, undisturbed
):
    """Batched within the scores of the second of three, so that one has been looked at and two have not."""
    call = 5 if launcher == "batched" else 2
    tricks = [partial(at, "flows.training.validation:Validation.__call__", call, TELL[told])]
    end = live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=tricks)
    assert (end.status, end.err.splitlines()) == (
        143,
        ["stopped at step 12, saved; the same command carries on", "train.py: terminated"],
    )
    begun = "012" if launcher == "batched" else "0"
    assert [step(tmp_path / "s" / job) for job in begun] == [12] * len(begun)
    assert [facts(tmp_path / "s" / job)["status"] for job in begun] == ["interrupted"] * len(begun)
    assert reasons(tmp_path / "s") == {}
    assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path).status == 0
    agree(tmp_path / "s", undisturbed(launcher))


@pytest.mark.parametrize("launcher", ["basic", pytest.param("batched", marks=pytest.mark.slow)])
@pytest.mark.parametrize("presses", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_row_04_a_sweep_is_interrupted_as_a_run_is(launcher, presses, tmp_path, undisturbed):
    tricks = [partial(at_step, LOOK, "s/0", 9, partial(tell_all, *[SIGINT] * presses))]
    end = live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=tricks)
    saved = ", saved" if presses == 1 else ""
    assert (end.status, end.err.splitlines()) == (
        130,
        [f"stopped at step 9{saved}; the same command carries on", "train.py: interrupted"],
    )
    assert step(tmp_path / "s/0") == (9 if presses == 1 else 8)
    assert (tmp_path / "s/1").exists() == (launcher == "batched")
    assert reasons(tmp_path / "s") == {}
    assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path).status == 0
    agree(tmp_path / "s", undisturbed(launcher))


@pytest.mark.parametrize("launcher", ["basic", "batched"])
@pytest.mark.slow
def test_row_01_a_sweep_that_is_killed_ends_bit_equal(launcher, tmp_path, undisturbed):
    for run, at_which in (("s/0", 8), ("s/1", 9)):
        tricks = [partial(at_step, LOOK, run, at_which, partial(tell_all, SIGKILL))]
        assert live(*SWEEP, *LAUNCHERS[launcher], cwd=tmp_path, tricks=tricks).status == -SIGKILL
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
    for function, saved, left in kills:
        tricks = [dead_saving(function, "s/1/checkpoints/last", saved)]
        assert live(*sweep, "run_dir=s", cwd=tmp_path, tricks=tricks).status == 1
        assert (step(tmp_path / "s/0"), step(tmp_path / "s/1")) == left
    assert live(*sweep, "run_dir=s", cwd=tmp_path).status == 0
    agree(tmp_path / "s", tmp_path / "whole", "012"[:members])
    assert leftovers(tmp_path / "s") == []


def test_row_01_no_job_outlives_its_sweep(tmp_path):
    end = live(*SWEEP, cwd=tmp_path, tricks=[partial(at_step, LOOK, "s/0", 9, orphaned)])
    assert end.status == -SIGKILL
    job = (tmp_path / "s/0/.lock").read_text()
    until(lambda: not Path("/proc", job).exists(), seconds=10)


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
