"""The critic's loss and the flow's, each against its definition."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
import small
import torch
import zoo
from torch import Tensor, nn

from flows.core import Batch, Flow
from flows.errors import UserError
from flows.masks import encode
from flows.models.conditional_flow import conditional_flow
from flows.nets import Critic
from flows.objectives import WGANGP
from flows.objectives.objective import Nets
from flows.objectives.wgan_gp import Judge

FIELD = (2, 5, 6)


class Linear(nn.Module):
    """Scores w·x, so its slope is w everywhere, whatever the context."""

    def __init__(self, shape: tuple[int, ...], context: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.arange(1.0, 1 + shape[0]))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return (x * self.weights).sum(-1)


def play(objective: WGANGP, shape: zoo.Shape, context: int = 2) -> tuple[dict[str, nn.Module], Batch]:
    """Both players in float64, perturbed, and a batch."""
    name = "realnvp" if isinstance(shape, int) else "conditional_flow"
    flow, examples = zoo.model(name, shape, context), zoo.data(shape, context)
    torch.manual_seed(0)
    nets = objective.players(flow, zoo.spec(shape, context), examples)
    zoo.perturb(nets["critic"], 0.1, 1)
    return nets, zoo.data(shape, context, 6, seed=1)


def convolutional(**options: float) -> WGANGP:
    return WGANGP(partial(Critic, width=8, depth=2), **options)


def draws(nets: Nets, batch: Batch, noise: dict[str, Tensor]) -> Tensor:
    return cast("Flow", nets["model"]).rsample(noise["z"], batch.context)[0]


def test_the_critics_loss_of_a_critic_of_known_slope():
    objective = WGANGP(Linear, penalty=3.0)
    nets, batch = play(objective, 3)
    noise = objective.noise("critic", nets, batch, torch.Generator().manual_seed(0))
    loss, logs = objective.loss("critic", nets, batch, noise)
    weights = cast("Linear", cast("Judge", nets["critic"]).net).weights
    critic = nets["critic"]
    gap = critic(batch.x, batch.context).mean() - critic(draws(nets, batch, noise), batch.context).mean()
    penalty = (weights.norm() - 1) ** 2
    torch.testing.assert_close(logs["gradient_penalty"], penalty)
    torch.testing.assert_close(logs["wasserstein"], gap)
    torch.testing.assert_close(loss, 3 * penalty - gap)


@pytest.mark.parametrize("shape", [3, FIELD])
def test_the_penalty_is_that_of_each_examples_own_slope(shape):
    """Against autograd's, one example at a time: value and gradient."""
    objective = convolutional(penalty=1.0)
    nets, batch = play(objective, shape)
    critic = cast("Judge", nets["critic"])
    noise = objective.noise("critic", nets, batch, torch.Generator().manual_seed(0))
    _, logs = objective.loss("critic", nets, batch, noise)
    real, context = critic.in_units(batch.x, batch.context)
    fake = critic.in_units(draws(nets, batch, noise))[0].detach()
    each = []
    for k in range(len(real)):
        share = noise["share"][k]
        between = (share * real[k] + (1 - share) * fake[k]).detach().requires_grad_()
        assert context is not None
        score = critic.score(between[None], context[k : k + 1])
        (slope,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        each.append((slope.norm() - 1) ** 2)
    expected = torch.stack(each).mean()
    torch.testing.assert_close(logs["gradient_penalty"], expected)
    weights = [*critic.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(logs["gradient_penalty"], weights, allow_unused=True),
        torch.autograd.grad(expected, weights, allow_unused=True),
        strict=True,
    ):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


def test_each_point_between_has_a_share_of_its_own():
    objective = convolutional()
    nets, batch = play(objective, FIELD)
    share = objective.noise("critic", nets, batch, torch.Generator().manual_seed(0))["share"]
    assert share.shape == (6, 1, 1, 1)
    assert len(share.unique()) == 6
    assert 0 < share.min() < share.max() < 1


@pytest.mark.parametrize("shape", [3, FIELD])
def test_the_flows_loss_is_the_critics_score_and_the_likelihood(shape):
    objective = convolutional(alpha=0.25)
    nets, batch = play(objective, shape)
    noise = objective.noise("model", nets, batch, torch.Generator().manual_seed(0))
    loss, logs = objective.loss("model", nets, batch, noise)
    flow = cast("Flow", nets["model"])
    nll = -flow.log_prob(batch.x, batch.context).mean()
    score = nets["critic"](draws(nets, batch, noise), batch.context).mean()
    torch.testing.assert_close(loss, -score + 0.25 * nll / batch.x[0].numel())
    torch.testing.assert_close(logs["generator_adversarial"], -score)
    torch.testing.assert_close(logs["generator_nll"], nll / batch.x[0].numel())
    torch.testing.assert_close(logs["nll"], nll)


@pytest.mark.parametrize(("player", "other"), [("critic", "model"), ("model", "critic")])
def test_a_turn_moves_its_own_player_alone(player, other):
    objective = convolutional()
    nets, batch = play(objective, FIELD)
    noise = objective.noise(player, nets, batch, torch.Generator().manual_seed(0))
    objective.loss(player, nets, batch, noise)[0].backward()
    assert all(p.grad is None for p in nets[other].parameters())
    untouched = [name for name, p in nets[player].named_parameters() if p.grad is None or not p.grad.any()]
    constant = ["net.layers.10.bias"]  # added to all scores
    assert untouched == (constant if player == "critic" else [])


@pytest.mark.parametrize("shape", [3, FIELD])
def test_an_examples_score_density_and_draw_are_its_own(shape):
    """They don't move with the rest of the batch."""
    objective = convolutional()
    nets, batch = play(objective, shape)
    noise = objective.noise("model", nets, batch, torch.Generator().manual_seed(0))
    assert batch.context is not None
    alone = Batch(batch.x[:1], batch.context[:1])
    whole, one = (
        objective.validate(nets, batch, noise),
        objective.validate(nets, alone, {"z": noise["z"][:1]}),
    )
    for key, value in one.items():
        torch.testing.assert_close(whole[key][:1], value, atol=1e-10, rtol=0)
    torch.testing.assert_close(draws(nets, batch, noise)[:1], draws(nets, alone, {"z": noise["z"][:1]}))


def test_units_of_the_data_dont_matter():
    """The same losses whether fields are told in one unit or another, but for the likelihood's constant."""
    losses = []
    for scale, shift in ((1.0, 0.0), (1e-3, 280.0)):
        objective = convolutional(alpha=1.0)
        flow, examples = zoo.built("conditional_flow", FIELD, 2), zoo.data(FIELD, 2)
        batch = zoo.data(FIELD, 2, 6, seed=1)
        (examples, batch) = (some._replace(x=scale * some.x + shift) for some in (examples, batch))
        with torch.no_grad():
            flow.initialise(examples)
        zoo.perturb(flow, 0.1, 0)
        torch.manual_seed(0)
        nets = objective.players(flow, zoo.spec(FIELD, 2), examples)
        logs = {}
        for player in ("critic", "model"):
            noise = objective.noise(player, nets, batch, torch.Generator().manual_seed(0))
            logs |= objective.loss(player, nets, batch, noise)[1]
        logs["generator_nll"] -= torch.tensor(scale).double().log()
        keys = ("critic_loss", "gradient_penalty", "wasserstein", "generator_adversarial", "generator_nll")
        losses.append([logs[key] for key in keys])
    torch.testing.assert_close(*losses, atol=1e-6, rtol=0)


def test_the_critic_has_no_slope_where_no_example_has_a_cell():
    there = torch.rand(FIELD, generator=torch.Generator().manual_seed(0)) > 0.3
    spec = zoo.spec(FIELD)._replace(absent=encode(~there))
    examples = Batch(torch.where(there, zoo.data(FIELD).x, torch.nan))
    flow = conditional_flow(spec, width=8).double()
    flow.initialise(examples)
    objective = convolutional()
    nets = objective.players(flow, spec, examples)
    critic, batch = cast("Judge", nets["critic"]), Batch(examples.x[:6])
    slopes = torch.func.grad(lambda x: critic.score(x).sum())(torch.zeros(6, *FIELD).double())
    assert (slopes[:, ~there] == 0).all()
    assert slopes[:, there].any()
    for player in ("critic", "model"):
        noise = objective.noise(player, nets, batch, torch.Generator().manual_seed(0))
        loss, logs = objective.loss(player, nets, batch, noise)
        assert loss.isfinite()
    torch.testing.assert_close(logs["generator_nll"], logs["nll"] / int(there.sum()))


def test_the_critic_alone_teaches_the_flow_where_data_lies():
    """Without likelihood, by the adversary: draws that are off come nearer to two moons."""
    objective = WGANGP(partial(Critic, width=32, depth=2), n_critic=2, alpha=0.0)
    trainer = small.trainer(lr=1e-3, objective=objective, decay="constant")
    run, validation = small.start(trainer)
    zoo.perturb(run.nets["model"], 0.2, 0)
    truth = small.dataset().source("test").take(slice(None)).x.float()

    def distance() -> float:
        flow = cast("Flow", run.nets["model"])
        drawn = flow.sample(512, generator=torch.Generator().manual_seed(1))
        across = torch.cdist(drawn, truth).mean()
        return float(2 * across - torch.cdist(drawn, drawn).mean() - torch.cdist(truth, truth).mean())

    before = distance()
    for _ in range(150 * 3):
        trainer.take_turn(run)
    assert run.diverged_at() is None
    assert distance() < 0.5 * before
    assert validation(run).keys() == {"nll", "wasserstein", "kl_to_truth"}


@pytest.mark.parametrize("turns", range(6))
def test_saved_amid_the_critics_turns_it_goes_the_same_way(turns):
    objective = WGANGP(partial(Critic, width=8, depth=1), n_critic=3)
    trainer = small.trainer(objective=objective)
    (whole, _), (resumed, _) = small.start(trainer), small.start(trainer, seed=1)
    for _ in range(turns):
        trainer.take_turn(whole)
    resumed.restore(whole.state())
    for run in (whole, resumed):
        for _ in range(5):
            trainer.take_turn(run)
    ours, theirs = whole.state(), resumed.state()
    assert ours.state == theirs.state
    for name, tensors in ours.tensors.items():
        for key, value in tensors.items():
            assert torch.equal(value, theirs.tensors[name][key]), (name, key)


def test_a_players_own_rate_and_clipping():
    objective = WGANGP(partial(Critic, width=8, depth=1))
    trainer = small.trainer(
        lr=1e-2, objective=objective, clip_norm=5.0, players={"critic": {"lr": 1e-3, "clip_norm": 0.5}}
    )
    run, _ = small.start(trainer)
    assert (run.players["model"].rates, run.players["model"].clip_norm) == ([1e-2], 5.0)
    assert (run.players["critic"].rates, run.players["critic"].clip_norm) == ([1e-3], 0.5)
    with pytest.raises(UserError, match=r"trainer\.players\.critc: no such player; did you mean"):
        small.start(small.trainer(objective=objective, players={"critc": {"lr": 1e-3}}))


def test_a_critic_that_diverges_is_told_by_the_step():
    objective = WGANGP(partial(Critic, width=8, depth=1), n_critic=3)
    trainer = small.trainer(objective=objective)
    run, _ = small.start(trainer)
    for _ in range(2 * 4 + 1):  # two steps and the critic's first turn of the third
        trainer.take_turn(run)
    with torch.no_grad():
        cast("Judge", run.nets["critic"]).units.std.fill_(torch.nan)
    trainer.take_turn(run)
    assert run.diverged_at() == 2
