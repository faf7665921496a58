"""Training on a lattice: fresh noise at each step, the same at each validation, and exact resumes."""

from __future__ import annotations

from functools import partial

import composed
import pytest
import torch

from data.xyrgb import xyrgb
from flows.models.masked_transformer import masked_transformer
from flows.objectives import Masked
from flows.training import checkpoint
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.table import read
from flows.training.trainer import Trainer
from flows.training.validation import Validation

RUNTIME = Runtime(device="cpu")
DATA = xyrgb(n=200)
SHORT = (
    *("dataset=xyrgb", "dataset.n=300", "model=masked_transformer", "trainer=masked", "logger=csv"),
    *(
        "model.dropout=0.2",
        "model.width=8",
        "model.heads=2",
        "model.layers=1",
        "trainer.jitter=0.02",
        "trainer.batch_size=32",
    ),
    *("trainer.validate_every=5", "trainer.checkpoint_every=5", "logger.log_every=5", "runtime=cpu"),
)


def start(jitter: float = 0.0) -> Run:
    torch.manual_seed(0)
    trainer = Trainer(
        Masked(), partial(torch.optim.AdamW, lr=1e-3), batch_size=140, max_steps=10, jitter=jitter
    )
    return trainer.start(masked_transformer(DATA.spec, width=8, heads=2, layers=1), DATA, RUNTIME, seed=0)


def test_each_epoch_spreads_the_same_points_anew():
    run = start()
    one, other = (run.draw().x.sort(0).values for _ in range(2))  # 140 of 140: an epoch each
    step = torch.tensor(DATA.spec.quantum)
    assert not torch.isclose(one, other, atol=1e-7).all(1).any()
    assert bool(((one - other).abs() <= step).all())


def test_jitter_moves_points_out_of_their_cells():
    one, other = (run.draw().x.sort(0).values for run in (start(), start(0.1)))
    assert float(((one - other).abs() > torch.tensor(DATA.spec.quantum)).float().mean()) > 0.3


def test_validation_always_spreads_alike():
    validation, run = Validation(DATA, RUNTIME), start()
    first = validation(run)
    run.draw()
    assert validation(run) == first
    assert first["kl_to_truth"] > 0


def test_validation_is_neither_jittered_nor_thinned_by_dropout():
    run = start()
    assert run.nets["model"].training
    assert Validation(DATA, RUNTIME)(run) == Validation(DATA, RUNTIME)(run)
    assert Validation(DATA, RUNTIME)(start(0.5)) == Validation(DATA, RUNTIME)(start())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    composed.run(folder, *SHORT, "trainer.max_steps=20")
    return folder


def test_a_run_carried_on_ends_with_the_same_bits(whole, tmp_path):
    """As if killed at step 10 of 20, and told to describe itself besides."""
    folder = tmp_path / "run"
    composed.run(folder, *SHORT, "trainer.max_steps=20", "trainer.keep=4")
    for path in checkpoint.steps(folder / "checkpoints" / "last"):
        if int(path.name) > 10:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    composed.run(folder, *SHORT, "trainer.max_steps=20", "trainer.keep=4", "logger.describe=true")
    ends = [checkpoint.read(f / "checkpoints" / "last" / "00000020").tensors for f in (whole, folder)]
    for player, tensors in ends[0].items():
        for name, value in tensors.items():
            assert torch.equal(value, ends[1][player][name]), (player, name)
    rows = [read(f / "metrics.csv") for f in (whole, folder)]
    assert [row["val_nll"] for row in rows[0]] == [row["val_nll"] for row in rows[1]]
