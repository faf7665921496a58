"""A sweep on a cluster that is really one: Slurm's own daemons, on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from cluster import cluster, missing
from runs import KINDS, differences

from flows.training import checkpoint
from flows.training.table import read

ROOT = Path(__file__).parents[2]
LONG = ("trainer.max_steps=4000", "trainer.validate_every=400", "runtime.compile=false")
ENDLESS = ("trainer.max_steps=10000000", "trainer.validate_every=1000", "runtime.compile=false")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no Slurm here ({', '.join(missing())})"),
]


@pytest.fixture(scope="module", autouse=True)
def config(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, cluster(tmp_path_factory.mktemp("slurm")) as config:
        patch.setenv("SLURM_CONF", str(config))
        yield config


@pytest.fixture
def start():
    """Start a sweep on the cluster, ended whatever happens, and all its jobs with it."""
    started = []

    def start(folder, *options):
        command = [sys.executable, "train.py", "-m", "hydra/launcher=slurm", f"run_dir={folder}"]
        heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # in the background it is ignored
        started.append(
            subprocess.Popen(
                [*command, *KINDS["realnvp"], *options],
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=heeding,
            )
        )
        return started[-1]

    yield start
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()
    subprocess.run(["scancel", "--me"], check=True)
    emptied()


def queue():
    """Names of jobs by their places in the sweep."""
    said = subprocess.run(
        ["squeue", "--me", "--noheader", "--array", "--format=%i"], capture_output=True, text=True, check=True
    )
    return {name.partition("_")[2]: name for name in said.stdout.split()}


def emptied():
    """Wait until no job is left, and say whether it came to that."""
    for _ in range(120):
        if not queue():
            return True
        time.sleep(0.5)
    return False


def trained(run, process):
    """Wait until a run is on its way."""
    for _ in range(1200):
        if (run / "metrics.csv").is_file() and len(read(run / "metrics.csv")) > 3:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise TimeoutError(run)


def stops(sweep, place):
    """How often a job was stopped, as its log has it."""
    (log,) = sweep.glob(f".submitit/*_{place}/*_log.err")
    return log.read_text().count("saved; the same command carries on")


def test_row_03_a_job_that_slurm_queues_again_carries_on_as_if_never_stopped(start, tmp_path):
    sweep = start(tmp_path / "s", *LONG, "seed=0,1")
    trained(tmp_path / "s/0", sweep)
    subprocess.run(["scontrol", "requeue", queue()["0"]], check=True)
    said = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said
    assert [stops(tmp_path / "s", place) for place in "01"] == [1, 0]
    for seed in ("0", "1"):
        alone = tmp_path / f"alone{seed}"
        command = [sys.executable, "train.py", f"run_dir={alone}", f"seed={seed}", *KINDS["realnvp"], *LONG]
        subprocess.run(command, cwd=ROOT, check=True)
        assert differences(tmp_path / "s" / seed, alone) == []


def test_row_03_jobs_that_run_out_of_minutes_or_are_cancelled_are_saved_and_told(start, tmp_path):
    sweep = start(
        tmp_path / "s", *ENDLESS, "seed=0,1", "hydra.launcher.minutes=3", "hydra.launcher.timeouts=1"
    )
    trained(tmp_path / "s/1", sweep)
    subprocess.run(["scancel", queue()["1"]], check=True)
    said = sweep.communicate(timeout=500)[1]
    assert sweep.returncode == 1, said
    reasons = [(tmp_path / "s" / k / "error.txt").read_text() for k in "01"]
    assert "ended before it was done (Job not requeued because: timed-out too many times)" in reasons[0]
    assert "CANCELLED" in reasons[1]
    assert [stops(tmp_path / "s", place) for place in "01"] == [2, 1]
    for k in "01":
        assert checkpoint.newest(tmp_path / "s" / k / "checkpoints/last") is not None


def test_row_04_a_sweep_that_is_interrupted_takes_its_jobs_along(start, tmp_path):
    sweep = start(tmp_path / "s", *ENDLESS, "seed=0,1")
    trained(tmp_path / "s/0", sweep)
    sweep.send_signal(signal.SIGINT)
    said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, said
    assert emptied()
    assert "Traceback" not in said[1]
