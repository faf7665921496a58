"""The loop: budgets, early stopping, divergence, averages, clipping."""

from __future__ import annotations

import pytest
import small
import torch

from flows.errors import UserError
from flows.training import checkpoint
from flows.training.run import Best
from flows.training.table import read


def test_it_learns(tmp_path):
    small.fit(small.trainer(max_steps=400), tmp_path)
    rows = read(tmp_path / "metrics.csv")
    scores = [float(row["val_kl_to_truth"]) for row in rows if row["val_kl_to_truth"]]
    assert len(scores) == 40
    assert scores[-1] < 0.7 * scores[0]
    assert scores[-1] > 0  # nothing beats the truth


def test_few_examples_are_looked_at_after_their_first_epochs(tmp_path):
    """Since they may be known by heart long before the first regular validation."""
    small.fit(small.trainer(batch_size=128, max_steps=100, validate_every=50), tmp_path)
    rows = read(tmp_path / "metrics.csv")
    assert [int(row["step"]) for row in rows if row["val_nll"]] == [5, 10, 20, 40, 50, 100]


def test_budgets():
    for options, steps in (
        ({"max_steps": 7}, 7),
        ({"max_steps": None, "max_epochs": 3}, 30),
        ({"max_steps": 5, "max_epochs": 3}, 5),
    ):
        assert small.start(small.trainer(**options))[0].steps == steps
    with pytest.raises(UserError, match=r"no budget; give trainer\.max_steps"):
        small.trainer(max_steps=None)


def test_seconds_become_steps_and_the_rehearsal_leaves_no_trace():
    rehearsed, _ = small.start(small.trainer(max_steps=None, max_seconds=1.0))
    fresh, _ = small.start(small.trainer())
    assert rehearsed.steps > 10
    ours, theirs = rehearsed.state(), fresh.state()
    for name, tensors in theirs.tensors.items():
        assert tensors.keys() == ours.tensors[name].keys()
        assert all(torch.equal(tensors[key], ours.tensors[name][key]) for key in tensors)
    assert ours.state | {"steps": 0} == theirs.state | {"steps": 0}


def test_early_stopping_waits_for_patience(tmp_path):
    run = small.fit(small.trainer(lr=0.0, max_steps=500, patience=3), tmp_path)
    assert run.best.step == 10  # with no learning rate, the first validation stays the best
    assert run.step == 40


def test_early_looks_are_no_misses(tmp_path):
    """Or else patience would end a run while its learning rate still rises."""
    run = small.fit(small.trainer(lr=0.0, batch_size=640, max_steps=500, patience=2), tmp_path)
    assert run.best.step == 1
    assert run.step == 20  # after those at 10 and 20, not after 2 and 4


def test_nan_is_never_the_best():
    run, _ = small.start(small.trainer())
    assert run.judge(1.0)
    assert not run.judge(float("nan"))
    assert run.best == Best(1.0, 0, 1)


@pytest.mark.parametrize("scores", [(float("nan"), float("inf")), (2.0, 3.0)])
def test_patience_is_saved_whether_or_not_a_score_was_finite(scores):
    trainer = small.trainer()
    (run, _), (again, _) = small.start(trainer), small.start(trainer)
    for _ in range(10):
        trainer.take_turn(run)
    for score in scores:
        run.judge(score)
    again.restore(run.state())
    assert again.best == run.best
    assert again.best.misses > 0


def test_divergence_stops_with_the_step_and_the_last_good_checkpoint(tmp_path):
    trainer = small.trainer(max_steps=200)
    run, validation = small.start(trainer)
    monitor = small.Monitor(tmp_path, small.QUIET, {})
    take_turn, poisoned = trainer.take_turn, []

    def poison(run):
        if run.step == 23 and not poisoned:
            poisoned.append(run.stream.source.x)
            run.stream.source.x = run.stream.source.x * float("nan")
        take_turn(run)

    trainer.take_turn = poison
    with pytest.raises(UserError, match=r"non-finite at step 24;.*last/00000020"):
        trainer.fit(run, validation, monitor)
    good = checkpoint.read(tmp_path / "checkpoints" / "last" / "00000020")
    assert all(t.isfinite().all() for t in good.tensors["model"].values())
    assert run.players["model"].weights.isfinite().all()


def test_the_average_is_what_is_validated(tmp_path):
    """At a huge learning rate weights jump about their average, so the two score differently."""
    run = small.fit(small.trainer(lr=3e-2, max_steps=60, ema=0.99, decay="constant"), tmp_path)
    validation = small.Validation(small.dataset(), small.RUNTIME)
    averaged = validation(run)["nll"]
    run.players["model"].ema = None  # now `averaged` shows the live weights
    live = validation(run)["nll"]
    assert abs(averaged - live) > 1e-4
    rows = read(tmp_path / "metrics.csv")
    assert float(rows[-1]["val_nll"]) == pytest.approx(averaged, abs=1e-7)


def test_clip_norm_reaches_the_player():
    run, _ = small.start(small.trainer(clip_norm=0.25))
    assert run.players["model"].clip_norm == 0.25


def test_double_precision(tmp_path):
    runtime = small.Runtime(device="cpu", dtype="float64")
    trainer, data = small.trainer(max_steps=2), small.dataset()
    run = trainer.start(small.realnvp(data.spec, layers=2, width=8), data, runtime, 0)
    run.steps = 2
    trainer.fit(run, small.Validation(data, runtime), small.Monitor(tmp_path, small.QUIET, {}))
    assert run.players["model"].weights.dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_runs_without_waiting_for_the_device(tmp_path):
    runtime = small.Runtime(device="cuda")
    trainer, data = small.trainer(ema=0.9, clip_norm=1.0), small.dataset()
    run = trainer.start(small.realnvp(data.spec, layers=2, width=8), data, runtime, 0)
    run.steps = 40
    trainer.take_turn(run)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            trainer.take_turn(run)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.fit(run, small.Validation(data, runtime), small.Monitor(tmp_path, small.QUIET, {}))
    assert run.step == 40
