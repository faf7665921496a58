"""The same command on the same run_dir carries on; that it ends bit-equal, tests/reliability shows."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
from lives import End, live

from flows.training import checkpoint

ARGUMENTS = (
    "model.layers=2",
    "model.width=8",
    "dataset.n_train=2000",
    "dataset.n_val=200",
    "dataset.n_test=10",
    "trainer.max_steps=150",
    "trainer.validate_every=70",
    "trainer.checkpoint_every=30",
    "runtime=cpu",
    "logger.log_every=20",
    "logger.figures=0",
)


def train(folder: Path, *overrides: str) -> End:
    return live(*ARGUMENTS, f"run_dir={folder}", *overrides, cwd=folder.parent)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = train(folder)
    assert done.status == 0, done.err
    return folder


def test_a_finished_run_is_left_as_it_is_and_a_larger_budget_extends_it(whole):
    before = (whole / "metrics.csv").read_bytes()
    again = train(whole)
    assert again.status == 0, again.err
    assert (whole / "metrics.csv").read_bytes() == before
    more = train(whole, "trainer.max_steps=160", "logger=csv")
    assert more.status == 0, more.err
    assert rows(whole)[-1]["step"] == "160"
    less = train(whole, "trainer.max_steps=100")
    assert less.status == 2
    assert "160" in less.err


def test_another_configuration_is_refused_and_every_difference_named(whole):
    before = (whole / "config.yaml").read_bytes()
    done = train(whole, "model.width=16", "dataset.seed=3", "seed=1")
    assert done.status == 2
    assert done.err.count("\n") == 1
    for part in ("model.width is 8 there and 16 here", "dataset.seed is 0", "seed is 0", "new run_dir"):
        assert part in done.err
    assert (whole / "config.yaml").read_bytes() == before


def test_init_from_takes_the_weights_of_another_run(whole, tmp_path):
    done = train(tmp_path / "next", f"init_from={whole}", "trainer.max_steps=1", "trainer.optimizer.lr=0")
    assert done.status == 0, done.err
    ours, theirs = (checkpoint.newest(f / "checkpoints" / "best") for f in (tmp_path / "next", whole))
    assert ours is not None
    assert theirs is not None
    ours, theirs = checkpoint.read(ours).tensors["model"], checkpoint.read(theirs).tensors["model"]
    keys = [key for key in theirs if key.startswith("average.")]
    assert keys
    assert all(torch.equal(ours[key], theirs[key]) for key in keys)


def test_init_from_refuses_a_model_of_other_features(whole, tmp_path):
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).tolist()
    (tmp_path / "table.csv").write_text("\n".join(["y,x", *(f"{y},{x}" for y, x in points)]) + "\n")
    model = ("model.layers=2", "model.width=8", "trainer.max_steps=1", "runtime=cpu")
    done = live(
        *model, "dataset=table", "dataset.path=table.csv", f"init_from={whole}", "run_dir=next", cwd=tmp_path
    )
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"{whole}: a model of other data: names is ['x', 'y'] there and ['y', 'x'] here" in done.err


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("precious")
    done = train(folder)
    assert done.status == 2
    assert "not empty and not a run's directory" in done.err
    assert [path.name for path in folder.iterdir()] == ["chapter1.txt"]


def test_a_crash_between_last_and_best_is_mended(tmp_path):
    folder = tmp_path / "run"
    short = ("trainer.max_steps=10", "trainer.validate_every=10", "logger=csv")
    assert train(folder, *short).status == 0
    best = folder / "checkpoints" / "best" / "00000010"
    before = (best / "model.safetensors").read_bytes()
    shutil.rmtree(best)
    done = train(folder, *short)
    assert done.status == 0, done.err
    assert (best / "model.safetensors").read_bytes() == before
