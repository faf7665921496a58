"""Steps recorded on a GPU: the same numbers as without, alone and in a batch."""

from functools import partial

import composed
import pytest
import small
import torch

from flows.errors import UserError
from flows.models.masked_transformer import masked_transformer
from flows.models.realnvp import realnvp
from flows.objectives import Likelihood, Masked
from flows.sweeps.together import Together
from flows.training.run import Run
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
TURNS = 12  # the first few aren't recorded yet
REALNVP = partial(realnvp, layers=4, width=16)
SGD = partial(torch.optim.SGD, lr=1e-2)


def started(trainer: Trainer, build=REALNVP, seed: int = 0) -> Run:
    data, runtime = small.dataset(), Runtime("cuda")
    torch.manual_seed(seed)
    run = trainer.start(build(data.spec), data, runtime, seed)
    run.steps = 40
    return run


def trained(trainer: Trainer, run: Run, turns: int = TURNS) -> Run:
    for _ in range(turns):
        trainer.take_turn(run)
    return run


def captured(run: Run) -> Run:
    run.fuse(compiled=False, captured=True)
    return run


def same(ours: Run, theirs: Run) -> None:
    left, right = ours.state(), theirs.state()
    assert left.state == right.state
    for player, tensors in left.tensors.items():
        for name, value in tensors.items():
            assert torch.equal(value, right.tensors[player][name]), name


@pytest.mark.parametrize("optimizer", [None, SGD])
def test_recorded_steps_are_the_plain_ones(optimizer):
    """Also with an optimizer that can't be recorded."""
    trainer = small.trainer(ema=0.9, clip_norm=1.0)
    trainer.optimizer = optimizer or trainer.optimizer
    ours = captured(started(trainer))
    assert ours.moves is (optimizer is None)
    same(trained(trainer, ours), trained(trainer, started(trainer)))


def test_taken_back_and_gone_on_with_in_the_middle():
    """What is recorded knows where tensors lay, and a restored run's lie elsewhere."""
    trainer = small.trainer(ema=0.9)
    ours = trained(trainer, captured(started(trainer)))
    before = ours.state()
    trained(trainer, ours)
    ours.restore(before)
    trained(trainer, ours)
    same(ours, trained(trainer, captured(started(trainer)), 2 * TURNS))


def test_dropout_draws_anew_at_each_replay_and_the_same_as_without():
    trainer = small.trainer(objective=Masked())
    build = partial(masked_transformer, width=16, heads=2, layers=1, dropout=0.3)
    ours = trained(trainer, captured(started(trainer, build)))
    theirs = started(trainer, build)
    theirs.fuse(compiled=False, captured=False)
    same(ours, trained(trainer, theirs))


@pytest.mark.parametrize(
    "told",
    [
        ("model=spline_coupling",),
        ("experiment=xyrgb_transformer", "trainer.max_seconds=null", "trainer.max_steps=1000"),
        ("experiment=grf_likelihood", "model.width=8"),
        ("experiment=grf_wgan", "model.width=8"),
    ],
    ids=["spline", "transformer", "fields", "critic"],
)
def test_models_as_they_come_are_captured_and_never_wait(told):
    def train(captured: bool) -> Run:
        session = composed.session(*told, "runtime=cuda", "run_dir=none")
        run = session.trainer.start(session.model, session.dataset, session.runtime, 0)
        run.steps = 1000
        run.fuse(compiled=False, captured=captured)
        trained(session.trainer, run, 4 * len(run.objective.cycle))
        torch.cuda.set_sync_debug_mode("error")
        try:
            return trained(session.trainer, run, 2 * len(run.objective.cycle))
        finally:
            torch.cuda.set_sync_debug_mode("default")

    ours, theirs = train(True), train(False)
    for name, player in ours.players.items():
        torch.testing.assert_close(player.weights, theirs.players[name].weights, rtol=1e-3, atol=1e-4)
    assert ours.means() == pytest.approx(theirs.means(), rel=1e-3)


def test_a_batch_is_what_each_would_be_alone_and_one_that_ends_rests():
    trainer = small.trainer(ema=0.9, clip_norm=1.0)
    runs = [started(trainer, seed=seed) for seed in range(5)]
    together = Together(runs, captured=True)
    for turn in range(TURNS):
        rows = range(5) if turn < TURNS // 2 else range(4)
        for row in rows:
            trainer.pace(runs[row])
        for row, found in zip(rows, together.backward(rows), strict=True):
            runs[row].end_turn(*found)
    for seed, run in enumerate(runs):
        alone = trained(trainer, started(trainer, seed=seed), TURNS if seed < 4 else TURNS // 2)
        player, other = run.players["model"], alone.players["model"]
        torch.testing.assert_close(player.weights, other.weights, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(player.average, other.average, rtol=1e-4, atol=1e-5)
        if seed < 4:
            assert run.means() == pytest.approx(alone.means(), rel=1e-4)
        assert run.diverged_at() is None


def test_a_loss_that_looks_at_values_is_one_line():
    class Looking(Likelihood):
        def loss(self, player, nets, batch, noise):
            assert float(batch.x.sum()) < torch.inf
            return super().loss(player, nets, batch, noise)

    trainer = small.trainer(objective=Looking())
    with pytest.raises(UserError, match=r"runtime\.capture: this step can't be recorded .*=false"):
        trained(trainer, captured(started(trainer)))
