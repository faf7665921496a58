"""Rows 31, 32 and 33: numbers that explode and memory that ends never reach what is saved."""

from __future__ import annotations

import json
import math
import resource
from functools import partial
from pathlib import Path

import pytest
import small
import torch
from lives import live
from runs import KINDS, finite, step
from tricks import at

from flows.errors import UserError
from flows.training import checkpoint
from flows.training.run import Best, Run

HOT = ("trainer.optimizer.lr=1e6", "trainer.warmup=0")


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def saved(run: Path) -> list[Path]:
    return [*run.glob("checkpoints/*/*")]


def test_row_31_an_exploding_loss_stops_the_run_and_what_is_saved_is_finite(kind, tmp_path):
    often = ("trainer.max_steps=2000", "trainer.validate_every=1", "trainer.checkpoint_every=1")
    free = ("trainer.clip_norm=null", "trainer.ema=null")
    end = live(*KINDS[kind], *often, *HOT, *free, "run_dir=run", cwd=tmp_path)
    run = tmp_path / "run"
    facts = json.loads((run / "run.json").read_text())
    assert all(finite(path) for path in saved(run))
    if kind == "realnvp":  # others may stand it
        assert (end.status, facts["status"]) == (2, "diverged")
        assert end.err.count("\n") == 1
        assert "became non-finite at step" in end.err


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_row_31_one_bad_number_stops_before_the_update(what, bad, tmp_path):
    """At step 24; the best is of step 20."""
    trainer = small.trainer()
    run, validation = small.start(trainer)
    backward, weights = run.backward, []

    def poisoned(batch, noise):
        slope, logs = backward(batch, noise)
        if run.step == 23:
            weights.append(run.players["model"].weights.detach().clone())
            slope = spoilt(run, what, bad)
        return slope, logs

    run.backward = poisoned
    best = tmp_path / "checkpoints" / "best"
    look_up, before = trainer.look_up, {}

    def look(run, *rest):
        if run.step == 24:
            before.update(files(best))
        return look_up(run, *rest)

    trainer.look_up = look
    with pytest.raises(UserError, match=r"non-finite at step 24;.*last/00000020"):
        trainer.fit(run, validation, small.Monitor(tmp_path, small.QUIET, {}))
    assert torch.equal(run.players["model"].weights, weights[0])
    assert before == files(best) != {}
    assert all(finite(path) for path in saved(tmp_path))


def spoilt(run: Run, what: str, bad: float):
    """What the guard makes of a bad loss, or of a good one with a bad gradient."""
    player = run.players["model"]
    loss = player.weights.sum() * 0.0 + (bad if what == "loss" else 1.0)
    if what == "gradient":
        handle = next(iter(player.net.parameters())).register_hook(lambda grad: grad * bad)
        loss = loss + sum(p.sum() for p in player.net.parameters())
        slope = player.backward(loss)
        handle.remove()
        return slope
    return player.backward(loss + sum(p.sum() for p in player.net.parameters()))


def scored(scores: list[float], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of four validations that give these scores."""
    waiting = iter(scores)
    monkeypatch.setattr(small.Validation, "__call__", lambda *_: {"nll": next(waiting)})
    return small.fit(small.trainer(), folder)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_row_32_a_validation_that_is_no_number_never_becomes_the_best(bad, tmp_path, monkeypatch):
    best = tmp_path / "checkpoints" / "best"
    assert scored([3.0, bad, 2.0, bad], tmp_path, monkeypatch).best == Best(2.0, 30, 1)
    assert checkpoint.newest(best) == checkpoint.at(best, 30)


def test_row_32_nor_does_the_first(tmp_path, monkeypatch):
    assert scored([math.nan] * 4, tmp_path, monkeypatch).best.step == 0
    assert not (tmp_path / "checkpoints" / "best").exists()


def starve() -> None:
    """Leave this process a few MiB more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**22, resource.RLIM_INFINITY))


def test_row_33_out_of_memory_is_one_line_and_the_checkpoint_intact(tmp_path):
    """From the tenth step on there is none left for another batch."""
    large = [*KINDS["realnvp"], "dataset.n_train=200000", "trainer.batch_size=100000", "run_dir=run"]
    tricks = [partial(at, "flows.training.trainer:Trainer.take_turn", 10, starve)]
    end = live(*large, cwd=tmp_path, tricks=tricks)
    assert (end.status, end.err.count("\n")) == (2, 1), end.err
    assert "error: not enough memory for this; ask for fewer examples, smaller batches" in end.err
    assert step(tmp_path / "run") == 8
    assert all(finite(path) for path in saved(tmp_path / "run"))
