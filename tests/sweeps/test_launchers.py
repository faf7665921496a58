"""Jobs in other processes: the same runs, and whatever goes wrong stays with one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from hydra.types import HydraContext
from omegaconf import DictConfig
from submitit import SlurmJob
from submitit.core.utils import cloudpickle_dump
from terminal import seen

from flows.sweeps import slurm
from flows.sweeps.job import Failure
from flows.sweeps.remote import RemoteJob
from flows.training.table import read

ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from flows.cli import entry
from flows.errors import UserError
from flows.signals import stop_if_asked

def task(config):
    folder, width = Path(config["run_dir"]), config["model"]["width"]
    (folder / "did").write_text(f"{{os.environ.get('OMP_NUM_THREADS')}} {{os.getcwd()}}")
    if width == 5:
        raise UserError("width 5")
    if width == 6:
        raise KeyError("six")
    if width == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if width == 11:
        os.kill(os.getpid(), signal.SIGTERM)
        stop_if_asked()
    if width == 10:
        from flows.training.bar import Bar
        with Bar(0, 9) as bar:
            bar.move(9)
    if width == 8:
        try:
            (folder / "sleeps").touch()
            for _ in range(600):
                stop_if_asked()
                time.sleep(0.1)
        except KeyboardInterrupt:
            (folder / "woken").touch()
            raise

if __name__ == "__main__":
    entry("config")(task)()
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program whose jobs do what their width says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    (tmp_path / "program.py").write_text(PROGRAM)
    return [sys.executable, "program.py", "-m", "run_dir=s"]


def call(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def reasons(sweep):
    return {path.parent.name: path.read_text().splitlines()[0] for path in sweep.glob("*/error.txt")}


# Processes


def test_a_job_that_fails_or_dies_fails_alone(program, tmp_path):
    arguments = ["hydra/launcher=processes", "hydra.launcher.n_jobs=2", "model.width=4,5,6,7,9,11,4"]
    done = call(*program, *arguments)
    assert done.returncode == 1, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        f"#{k} model.width={w}" for k, w in enumerate((4, 5, 6, 7, 9, 11, 4))
    ]
    died = "its process died, perhaps for want of memory (hydra.launcher.n_jobs=1 needs least)"
    stopped = "its process was told to stop; the same command carries on"
    told = {"1": "width 5", "2": "KeyError: 'six'", "3": died, "5": stopped}
    assert reasons(tmp_path / "s") == told
    assert done.stderr.splitlines()[-5:] == [
        "program.py: error: 4 of 7 jobs failed:",
        *(f"#{k} model.width={w}: {told[str(k)]}" for k, w in ((1, 5), (2, 6), (3, 7), (5, 11))),
    ]
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    for k in range(7):
        assert (tmp_path / "s" / str(k) / "did").read_text() == f"{threads} {tmp_path}"


def test_an_interrupt_ends_all_processes(program, tmp_path):
    arguments = ["hydra/launcher=processes", "hydra.launcher.n_jobs=2", "model.width=8", "seed=0,1,2"]
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which a test in the background doesn't
    running = subprocess.Popen(
        [*program, *arguments], stdout=-1, stderr=-1, text=True, start_new_session=True, preexec_fn=heeding
    )
    asleep = [tmp_path / "s" / str(k) / "sleeps" for k in (0, 1)]
    until = time.monotonic() + 60
    while not all(path.exists() for path in asleep) and time.monotonic() < until:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)  # to the parent alone
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err.splitlines()[0]) == (130, "program.py: interrupted")
    assert [path.with_name("woken").exists() for path in asleep] == [True, True]
    assert not (tmp_path / "s/2").exists()


def test_processes_draw_no_bars_over_each_other(program):
    """One after another they draw theirs."""
    for launcher, bars in (("basic", 1), ("processes", 0)):
        command = [*program, f"hydra/launcher={launcher}", "model.width=10,4"]
        lines = seen(lambda terminal, command=command: subprocess.run(command, stderr=terminal, check=True))
        assert sum(line.startswith("9/9 ") for line in lines) == bars, lines


@pytest.mark.slow
def test_runs_are_the_same_in_processes(tmp_path):
    few = [
        "dataset.n_train=256",
        "dataset.n_val=64",
        "dataset.n_test=64",
        "logger=csv",
        "logger.log_every=99",
    ]
    few += ["trainer.max_steps=4", "trainer.validate_every=2", "model.layers=2", "model.width=8", "seed=0,1"]
    for name in ("basic", "processes"):
        command = [sys.executable, "train.py", "-m", f"hydra/launcher={name}", f"run_dir={tmp_path / name}"]
        done = subprocess.run([*command, *few], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"hydra/launcher={name}" in json.loads((tmp_path / name / "0/run.json").read_text())["command"]
    for k in "01":
        assert read(tmp_path / "basic" / k / "metrics.csv") == read(
            tmp_path / "processes" / k / "metrics.csv"
        )


# Slurm

CLUSTER = {
    "sbatch": """#!/bin/bash
# a cluster of one machine: the jobs of an array one after another
echo "Submitted batch job 7"
export SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
export SLURM_JOB_NODELIST=here SLURMD_NODENAME=here SLURM_ARRAY_JOB_ID=7
cp "$1" "$(dirname "$0")/script"
(for k in 0 1; do SLURM_JOB_ID=10$k SLURM_ARRAY_TASK_ID=$k bash "$1"; done) > /dev/null 2>&1 &
""",
    "srun": """#!/bin/bash
while [[ $1 == --* ]]; do case $1 in --output|--error) shift 2;; *) shift;; esac; done
exec "$@"
""",
    "squeue": "#!/bin/bash\n",
    "scancel": "#!/bin/bash\n",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Slurm's commands, as far as they are needed; the folder of them."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    for name, text in CLUSTER.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def test_slurm_does_the_jobs_of_an_array(program, cluster, tmp_path):
    options = ["hydra.launcher.partition=short", "hydra.launcher.array_parallelism=1"]
    done = call(*program, "hydra/launcher=slurm", *options, "model.width=4,5")
    assert done.returncode == 1, done.stderr
    assert reasons(tmp_path / "s") == {"1": "width 5"}
    assert done.stderr.splitlines()[-1] == "#1 model.width=5: width 5"
    assert (tmp_path / "s/0/did").exists()
    script = (cluster / "script").read_text()
    assert "#SBATCH --partition=short\n" in script
    assert "#SBATCH --array=0-1%1\n" in script
    assert "#SBATCH --time=240\n" in script


def test_what_sbatch_refuses_is_one_line(program, cluster, tmp_path):
    said = "sbatch: error: invalid partition specified: shrot\nsbatch: error: submission failed: No."
    (cluster / "sbatch").write_text(f"#!/bin/bash\necho '{said}' >&2\nexit 1\n")
    done = call(*program, "hydra/launcher=slurm", "hydra.launcher.partition=shrot", "model.width=4,5")
    assert done.returncode == 2
    assert done.stderr == (
        "program.py: error: hydra/launcher=slurm: sbatch refused the jobs: "
        "invalid partition specified: shrot; submission failed: No.\n"
    )


def test_a_job_is_lost_if_slurm_twice_did_not_have_it(monkeypatch, cluster):
    now = 0.0
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now)
    queue = slurm.Queue()
    seen = []
    for names in ("7_0 7_1", "7_0", None, "7_0", "7_0 7_1", "7_0", "7_0"):
        text = "exit 1" if names is None else f"printf '%s\\n' {names}"
        (cluster / "squeue").write_text(f"#!/bin/bash\n{text}\n")
        (cluster / "squeue").chmod(0o755)
        now += 20.0
        seen.append((queue.lost("7_0"), queue.lost("7_1")))
        now += 1.0
        assert (queue.lost("7_0"), queue.lost("7_1")) == seen[-1], "asked again at once"
    assert seen == [(False, False)] * 6 + [(False, True)]


ENDS = {
    "nothing": (None, "slurmstepd-a: error: *** JOB 7 ON a CANCELLED ***\n", " (JOB 7 ON a CANCELLED)"),
    "no log": (None, None, ""),
    "submitit": (("error", "E\nm.UncompletedJobError: Not again.\n"), "srun: x", " (Not again)"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_job_that_was_ended_has_failed(tmp_path, monkeypatch, name):
    returned, log, said = ENDS[name]
    monkeypatch.setattr(RemoteJob, "lost", lambda self, reason: Failure(reason))
    job = RemoteJob(3, [], DictConfig({}), HydraContext(None, None), print, [], "1.3")
    handed = SlurmJob(tmp_path / "%j", "7_3")
    handed.paths.folder.mkdir()
    if log is not None:
        handed.paths.stderr.write_text(log)
    if returned is not None:
        cloudpickle_dump(returned, handed.paths.result_pickle)
    assert slurm._outcome(job, handed, tmp_path) == Failure(
        f"Slurm's job 7_3 ended before it was done{said}; see {tmp_path}/7_3"
    )


# What is refused


WRONG = [
    ("basic", "+hydra.launcher.n_jobs=2", "hydra.launcher.n_jobs: no such key"),
    ("processes", "hydra.launcher.n_jobs=0", "hydra.launcher.n_jobs=0: expected int >= 1 or null"),
    ("processes", "hydra.launcher.n_jobs=many", "hydra.launcher.n_jobs='many': expected int >= 1 or null"),
    ("processes", "hydra.launcher.n_job=2", "hydra.launcher.n_job: no such key"),
    ("processes", "+hydra.launcher.n_job=2", "hydra.launcher.n_job: no such key; did you mean n_jobs?"),
    ("slurm", "+hydra.launcher.setup=[touch marker]", "hydra.launcher.setup: no such key"),
    ("slurm", "hydra.launcher.partition='a\ntouch marker'", "hydra.launcher.partition="),
    ("slurm", "hydra.launcher.minutes=null", "hydra.launcher.minutes=null: expected int >= 1"),
    ("slurm", "run_dir='s\ntouch marker'", "run_dir: Slurm can't take a name with line breaks"),
    ("proceses", "seed=1", "hydra/launcher=proceses: no such option; did you mean hydra/launcher=processes?"),
]


@pytest.mark.parametrize(("launcher", "argument", "says"), WRONG)
def test_a_wrong_option_is_one_line_and_runs_nothing(sweep, cluster, tmp_path, launcher, argument, says):
    said = sweep(f"hydra/launcher={launcher}", "seed=0,1", argument, task=lambda _: Path("ran").touch())
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["cluster"]


def test_without_slurm_it_is_one_line(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = sweep("hydra/launcher=slurm", "seed=0,1", task=print)
    assert (said.status, said.out) == (2, "")
    assert said.err.endswith(
        "error: hydra/launcher=slurm: no sbatch and srun here; use hydra/launcher=processes\n"
    )


TARGETS = ("builtins.open", "os.system", "hydra_plugins.evil.Launcher", "flows.sweeps.processes.Processes")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["launcher", "sweeper"])
def test_hydra_builds_no_other_plugin(sweep, tmp_path, target, kind):
    folder = tmp_path / "conf/hydra" / kind
    folder.mkdir(parents=True)
    (folder / "evil.yaml").write_text(f"_target_: {target}\nfile: marker\nmode: w\n")
    said = sweep("--config-dir=conf", f"hydra/{kind}=evil", "seed=0,1", task=print)
    assert (said.status, said.out) == (2, "")
    assert said.err == f"train.py: error: hydra.{kind}._target_={target}: none of Hydra's plugins\n"
    assert not (tmp_path / "marker").exists()
