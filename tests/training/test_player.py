"""The player: one flat vector, clipped, guarded, averaged."""

from __future__ import annotations

from functools import partial, wraps

import pytest
import torch
from torch import nn

from flows.errors import UserError
from flows.training.guard import Checked
from flows.training.player import Player, fill


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))


def loss(module: nn.Module, scale: float = 1.0) -> torch.Tensor:
    x = torch.linspace(-1, 1, 30).reshape(10, 3)
    return scale * (module(x).squeeze(-1) - x.sum(-1)).square().mean()


def move(player: Player, slope: Checked, rate: float = 1.0) -> None:
    player.pace(rate)
    player.descend(slope)
    player.steps += 1


OPTIMIZERS = {
    "adamw": partial(torch.optim.AdamW, lr=1e-2, fused=True),
    "sgd": partial(torch.optim.SGD, lr=1e-2, momentum=0.9),
    "rmsprop": partial(torch.optim.RMSprop, lr=1e-2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_same_path_as_an_ordinary_loop(name):
    player, plain = Player(net(), OPTIMIZERS[name], clip_norm=0.5), net()
    optimizer = OPTIMIZERS[name](plain.parameters())
    for _ in range(10):
        move(player, player.backward(loss(player.net)))
        optimizer.zero_grad()
        loss(plain).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
        torch.testing.assert_close(player.grad_norm, norm)
    for ours, theirs in zip(player.net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def halving(step):
    @wraps(step)
    def wrapped(optimizer, closure=None):
        step(optimizer, closure)
        with torch.no_grad():
            for weights in optimizer.param_groups[0]["params"]:
                weights.mul_(0.5)

    return wrapped


class Halving(torch.optim.SGD):
    """Not one of torch's own: what wraps its step is meant to."""

    step = halving(torch.optim.SGD.step)


def test_an_optimizer_of_ones_own_takes_its_whole_step():
    player = Player(net(), partial(Halving, lr=0.0))
    before = player.weights.detach().clone()
    move(player, player.backward(loss(player.net)))
    torch.testing.assert_close(player.weights.detach(), before / 2)


def test_making_one_leaves_the_optimizers_of_others_as_they_are():
    before = torch.optim.Optimizer.add_param_group
    Player(net(), partial(torch.optim.SGD, lr=0.1))
    with pytest.raises(ValueError, match="learning rate"):
        Player(net(), partial(torch.optim.SGD, lr=-1.0))
    assert torch.optim.Optimizer.add_param_group is before


def test_clipping_bounds_the_step():
    """SGD moves by lr times the gradient, so the clipped gradient's norm shows in the weights."""
    for clip, expected in ((1e-3, 1e-3), (None, None)):
        player = Player(net(), partial(torch.optim.SGD, lr=1.0), clip_norm=clip)
        before = player.weights.detach().clone()
        move(player, player.backward(loss(player.net, 100.0)))
        moved = (player.weights.detach() - before).norm()
        target = player.grad_norm if expected is None else torch.tensor(expected)
        torch.testing.assert_close(moved, target, rtol=1e-3, atol=1e-6)
        assert player.grad_norm > 1


def test_the_average_follows_the_weights_and_is_what_averaged_shows():
    player = Player(net(), partial(torch.optim.SGD, lr=0.1), ema=0.9)
    expected = player.weights.detach().clone()
    for step in range(20):
        move(player, player.backward(loss(player.net)))
        expected.lerp_(player.weights.detach(), 1 - min(0.9, (1 + step) / (10 + step)))
    live = loss(player.net)
    with player.averaged():
        torch.testing.assert_close(player.weights.detach(), expected)
        assert loss(player.net) != live
    assert loss(player.net) == live


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_step_never_reaches_the_weights(bad):
    player = Player(net(), OPTIMIZERS["adamw"], clip_norm=1.0, ema=0.9)
    for _ in range(3):
        move(player, player.backward(loss(player.net)))
    assert player.diverged_at() is None
    weights, average = player.weights.detach().clone(), player.average.clone()
    move(player, player.backward(loss(player.net, bad)))
    move(player, player.backward(loss(player.net)))
    for step in (3, 4):
        average.lerp_(weights, 1 - (1 + step) / (10 + step))
    assert player.diverged_at() == 3
    assert torch.equal(player.weights.detach(), weights)
    torch.testing.assert_close(player.average, average)


def test_a_step_too_long_for_the_weights_is_undone():
    player = Player(net(), partial(torch.optim.SGD, lr=1e38))
    before = player.weights.detach().clone()
    move(player, player.backward(loss(player.net, 1e3)))
    assert player.diverged_at() == 0
    assert torch.equal(player.weights.detach(), before)


def test_a_bad_gradient_of_a_finite_loss_is_caught():
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * float("nan")

    player = Player(net(), OPTIMIZERS["sgd"])
    before = player.weights.detach().clone()
    move(player, player.backward(Spike.apply(loss(player.net))))
    assert player.diverged_at() == 0
    assert torch.equal(player.weights.detach(), before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_restored_it_goes_the_same_way(name):
    first, second = (Player(net(seed), OPTIMIZERS[name], 1.0, 0.9) for seed in (0, 1))
    for _ in range(5):
        move(first, first.backward(loss(first.net)))
    second.restore(first.state())
    for player in (first, second):
        for _ in range(5):
            move(player, player.backward(loss(player.net)), rate=0.5)
    a, b = first.state(), second.state()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


SLOTTED = OPTIMIZERS | {
    "amsgrad": partial(torch.optim.Adam, lr=1e-2, amsgrad=True),
    "nadam": partial(torch.optim.NAdam, lr=1e-2),
    "adagrad": partial(torch.optim.Adagrad, lr=1e-2),
    "plain": partial(torch.optim.SGD, lr=1e-2),
}


def moved(name: str, steps: int) -> Player:
    player = Player(net(), SLOTTED[name], ema=0.9)
    for _ in range(steps):
        move(player, player.backward(loss(player.net)))
    return player


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("name", SLOTTED)
def test_what_any_optimizer_keeps_is_taken_back(name, steps):
    state = moved(name, steps).state()
    again = Player(net(1), SLOTTED[name], ema=0.9)
    again.restore(state)
    assert again.state().keys() == state.keys()
    assert all(torch.equal(again.state()[key], value) for key, value in state.items())


@pytest.mark.parametrize("name", SLOTTED)
def test_slots_of_another_name_shape_or_type_are_refused_before_anything_is_taken(name):
    """A fused kernel trusts them, and would write beyond the end of a shorter one."""
    state = moved(name, 2).state()
    slots = [key for key in state if key.startswith("optimizer.")]
    for slot in slots:
        cut = state[slot].flatten()[:1] if state[slot].dim() else torch.ones(3)
        without = {key: value for key, value in state.items() if key != slot}
        refused(name, without, slot)
        refused(name, without | {slot: cut}, slot)
        refused(name, without | {slot: state[slot].half()}, slot)
    refused(name, state | {"optimizer.zzz": torch.zeros(26)}, r"optimizer\.zzz is float32 \(26,\) there")
    refused(name, {k: v for k, v in state.items() if k != "good"}, "good is absent there")
    refused(name, state | {"good": torch.tensor(2.0)}, r"good is float32 \(\) there and int64 \(\) here")
    refused(name, state | {"good": torch.tensor(3)}, "good is 3")
    refused(name, state | {"steps": torch.tensor(-1)}, "steps is -1")


def refused(name: str, state: dict[str, torch.Tensor], said: str) -> None:
    player = Player(net(1), SLOTTED[name], ema=0.9)
    before = player.state()
    with pytest.raises(ValueError, match=said):
        player.restore(state)
    assert all(torch.equal(player.state()[key], value) for key, value in before.items())


@pytest.mark.parametrize("step", [-1.0, 0.0, 3.0, float("inf"), float("nan")])
def test_an_optimizers_count_of_steps_is_ours(step):
    state = moved("adamw", 2).state()
    refused("adamw", state | {"optimizer.step": torch.tensor(step)}, r"optimizer\.step is")


def test_weights_that_do_not_fit_are_refused_by_name():
    with pytest.raises(UserError, match=r"0\.weight has shape \(4, 3\) there and \(5, 3\) here"):
        fill(net(), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).state_dict())
