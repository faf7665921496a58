"""Runs trained as one are the runs that they would be alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import composed
import pytest
import torch
import zoo

import train
from flows.core import AnySubset, Flow
from flows.sweeps.together import Together
from flows.training.run import Run
from flows.training.trainer import Trainer

SIZES = {
    "layers": 2,
    "width": 8,
    "depth": 1,
    "levels": 1,
    "heads": 2,
    "bins": 4,
    "hidden": 1,
    "components": 3,
    "dropout": 0.0,
}
GRF = ("dataset=grf", "dataset.height=8", "dataset.width=8", "dataset.n_val=8", "dataset.n_test=8")
MOONS = (
    "dataset=moons",
    "dataset.n_train=256",
    "dataset.n_val=32",
    "dataset.n_test=32",
    "dataset.labels=true",
)
CRITIC = (
    "trainer.objective.critic.width=4",
    "trainer.objective.critic.depth=1",
    "trainer.objective.n_critic=2",
)
MEMBERS = (
    ("seed=0",),
    ("seed=1", "trainer.optimizer.lr=1e-2", "trainer.clip_norm=0.1"),
    (
        "seed=2",
        "trainer.optimizer.weight_decay=0.1",
        "trainer.ema=null",
        "dataset.seed=5",
        "trainer.warmup=0",
    ),
)


def pairs() -> list[tuple[str, str]]:
    """Every model with every trainer that it suits."""
    needs = {"masked": AnySubset, "wgan_gp": Flow}
    return [
        (model, trainer)
        for model, trainer in itertools.product(zoo.names("model"), zoo.names("trainer"))
        if isinstance(zoo.model(model, *zoo.example(model)), needs.get(trainer, object))
    ]


def slow_if_long(model: str, trainer: str):
    """An autoregressive flow is drawn from feature by feature, at each turn against a critic."""
    long = trainer == "wgan_gp" and model.endswith("autoregressive")
    return pytest.param(model, trainer, marks=pytest.mark.slow if long else ())


def member(model: str, trainer: str, dtype: str, *more: str) -> tuple[Trainer, Run]:
    sizes = [f"model.{key}={SIZES[key]}" for key in zoo.node("model", model) if key in SIZES]
    config = composed.configuration(
        *(GRF if model in zoo.FIELDS else MOONS),
        *(f"model={model}", *sizes, f"trainer={trainer}", *(CRITIC if trainer == "wgan_gp" else ())),
        *(
            "trainer.batch_size=16",
            "trainer.max_steps=100",
            f"runtime.dtype={dtype}",
            "runtime.device=cpu",
            *more,
        ),
    )
    session = train.prepare(config)
    run = session.trainer.start(session.model, session.dataset, session.runtime, config["seed"])
    run.steps = 100
    return session.trainer, run


def alone(members: list[tuple[Trainer, Run]], turns: int) -> None:
    for trainer, run in members:
        for _ in range(turns):
            trainer.take_turn(run)


def together(members: list[tuple[Trainer, Run]], turns: int) -> None:
    joined = Together([run for _, run in members])
    for _ in range(turns):
        for trainer, run in members:
            trainer.pace(run)
        for (_, run), found in zip(members, joined.backward(range(len(members))), strict=True):
            run.end_turn(*found)


def agree(ours: Run, theirs: Run, rtol: float) -> None:
    """All there is to save is the same, up to rounding."""
    mine, yours = ours.state(), theirs.state()
    assert mine.state == yours.state
    for part, tensors in mine.tensors.items():
        for name, value in tensors.items():
            other = yours.tensors[part][name]
            off = float((value.double() - other.double()).abs().max()) if value.numel() else 0.0
            scale = float(other.double().abs().max()) if value.numel() else 0.0
            assert off <= rtol * scale, (part, name, off, scale)


def compare(
    keys: tuple[str, str, str], members: Sequence[Sequence[str]], turns: int, rtol: float
) -> list[Run]:
    """Train the members apart and joined, and hold the ones to the others."""
    apart, joined = ([member(*keys, *own) for own in members] for _ in range(2))
    alone(apart, turns)
    together(joined, turns)
    for (_, ours), (_, theirs) in zip(joined, apart, strict=True):
        agree(ours, theirs, rtol)
    return [run for _, run in joined]


@pytest.mark.parametrize("turns", [9, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("model", "trainer"), [slow_if_long(*pair) for pair in pairs()])
def test_equal_to_each_alone(model, trainer, turns):
    compare((model, trainer, "float64"), MEMBERS, turns, 1e-9)


@pytest.mark.parametrize(
    ("dtype", "turns", "rtol"),
    [
        ("float64", 60, 1e-9),
        pytest.param("float64", 200, 1e-9, marks=pytest.mark.slow),
        ("float32", 50, 1e-4),
    ],
)
def test_and_stays_so(dtype, turns, rtol):
    compare(("realnvp", "likelihood", dtype), MEMBERS, turns, rtol)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["realnvp", "spline_coupling", "mixture_autoregressive"])
def test_final_scores_differ_by_less_than_a_quarter_of_their_spread_over_seeds(model):
    """In single precision, at the end of the schedule; all have one truth, so KLs differ as scores do."""
    seeds = [(f"seed={seed}",) for seed in range(16)]
    apart, joined = ([member(model, "likelihood", "float32", *own) for own in seeds] for _ in range(2))
    alone(apart, 100)
    together(joined, 100)
    ours, theirs = (torch.tensor([nll(run) for _, run in runs]) for runs in (joined, apart))
    assert (ours - theirs).abs().max() < theirs.std() / 4


@torch.no_grad()
def nll(run: Run) -> float:
    """Of the examples it was trained on."""
    batch = run.stream.source.take(slice(None))
    return -run.players["model"].net.log_prob(batch.x, batch.context).double().mean().item()


def test_each_member_has_an_objective_of_its_own():
    own = [(f"trainer.objective.alpha={alpha}", "seed=3") for alpha in (1.0, 50.0)]
    first, second = compare(("conditional_flow", "wgan_gp", "float64"), own, 9, 1e-9)
    assert not torch.equal(first.players["model"].weights, second.players["model"].weights)


def test_dropout_differs_between_members():
    like = ("masked_transformer", "masked", "float64", "model.dropout=0.5", "seed=0")
    joined = [member(*like), member(*like)]
    together(joined, 3)
    first, second = (run.players["model"].weights for _, run in joined)
    assert not torch.equal(first, second)
