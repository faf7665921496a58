"""The same command on the same run_dir carries on, and ends bit-equal to a run never stopped."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import zoo
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from flows.training import checkpoint

COMMAND = (
    sys.executable,
    str(zoo.ROOT / "train.py"),
    "model.layers=2",
    "model.width=8",
    "dataset.n_train=2000",
    "dataset.n_val=200",
    "dataset.n_test=10",
    "trainer.validate_every=70",
    "trainer.checkpoint_every=30",
    "runtime=cpu",
    "logger.log_every=20",
    "logger.figures=0",
)
STEPS = "trainer.max_steps=1500"


def train(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, STEPS, f"run_dir={folder}", *overrides]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)


def kill_after(folder: Path, checkpoints: int) -> None:
    """Start a run and kill it, without warning, once it has written so many checkpoints more."""
    known = set(checkpoint.steps(folder / "checkpoints" / "last"))
    process = subprocess.Popen(
        [*COMMAND, STEPS, f"run_dir={folder}"], cwd=folder.parent, stderr=subprocess.DEVNULL
    )
    seen: set[Path] = set()
    while len(seen) < checkpoints and process.poll() is None:
        seen |= set(checkpoint.steps(folder / "checkpoints" / "last")) - known
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar that TensorBoard shows, wall clock left out."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "steps_per_second" not in tag]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_killed_twice_it_ends_bit_equal(whole, tmp_path):
    folder = tmp_path / "run"
    for checkpoints in (4, 9):
        kill_after(folder, checkpoints)
    done = train(folder)
    assert done.returncode == 0, done.stderr
    for kind in ("last", "best"):
        ours, theirs = (checkpoint.newest(f / "checkpoints" / kind) for f in (folder, whole))
        assert ours is not None
        assert theirs is not None
        assert ours.name == theirs.name
        ours, theirs = checkpoint.read(ours), checkpoint.read(theirs)
        assert ours.state == theirs.state
        for name, tensors in theirs.tensors.items():
            assert tensors.keys() == ours.tensors[name].keys()
            for key, tensor in tensors.items():
                assert torch.equal(tensor, ours.tensors[name][key]), f"{kind} {name} {key}"
    assert rows(folder) == rows(whole)
    assert scalars(folder) == scalars(whole)
    assert all(steps == sorted(set(steps)) for steps in ([s for s, _ in v] for v in scalars(folder).values()))


def test_a_finished_run_is_left_as_it_is_and_a_larger_budget_extends_it(whole):
    before = (whole / "metrics.csv").read_bytes()
    again = train(whole)
    assert again.returncode == 0, again.stderr
    assert (whole / "metrics.csv").read_bytes() == before
    more = train(whole, "trainer.max_steps=1600", "logger=csv")
    assert more.returncode == 0, more.stderr
    assert rows(whole)[-1]["step"] == "1600"
    less = train(whole, "trainer.max_steps=100")
    assert less.returncode == 2
    assert "1600" in less.stderr


def test_another_configuration_is_refused_and_every_difference_named(whole):
    before = (whole / "config.yaml").read_bytes()
    done = train(whole, "model.width=16", "dataset.seed=3", "seed=1")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for part in ("model.width is 8 there and 16 here", "dataset.seed is 0", "seed is 0", "new run_dir"):
        assert part in done.stderr
    assert (whole / "config.yaml").read_bytes() == before


def test_init_from_takes_the_weights_of_another_run(whole, tmp_path):
    done = train(tmp_path / "next", f"init_from={whole}", "trainer.max_steps=1", "trainer.optimizer.lr=0")
    assert done.returncode == 0, done.stderr
    ours, theirs = (checkpoint.newest(f / "checkpoints" / "best") for f in (tmp_path / "next", whole))
    assert ours is not None
    assert theirs is not None
    ours, theirs = checkpoint.read(ours).tensors["model"], checkpoint.read(theirs).tensors["model"]
    keys = [key for key in theirs if key.startswith("average.")]
    assert keys
    assert all(torch.equal(ours[key], theirs[key]) for key in keys)


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("precious")
    done = train(folder)
    assert done.returncode == 2
    assert "not empty and not a run's directory" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["chapter1.txt"]


def test_a_crash_between_last_and_best_is_mended(tmp_path):
    folder = tmp_path / "run"
    short = ("trainer.max_steps=10", "trainer.validate_every=10", "logger=csv")
    assert train(folder, *short).returncode == 0
    best = folder / "checkpoints" / "best" / "00000010"
    before = (best / "model.safetensors").read_bytes()
    shutil.rmtree(best)
    done = train(folder, *short)
    assert done.returncode == 0, done.stderr
    assert (best / "model.safetensors").read_bytes() == before
