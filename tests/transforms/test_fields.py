"""Transforms of fields: exact both ways, cell by absent cell."""

from __future__ import annotations

import pytest
import torch
import zoo

from flows.core import Batch, Compose, Inverse
from flows.errors import UserError
from flows.nets import ConvNet, Muted, Reduce
from flows.transforms import (
    Affine,
    Coupling,
    Given,
    Guided,
    Level,
    Mixing,
    Squeeze,
    Standardize,
    alternating,
    haar,
)

SIZES = [(8, 8), (7, 9), (7, 8), (2, 3)]
CONTEXT = 2  # channels


def affine():
    return Affine(axis=-3)


def net(inputs, outputs, context=0, **settings):
    return ConvNet(inputs, outputs, context, width=8, **settings)


def coupling(channels, first=True, mask=None):
    mask = torch.arange(channels) < channels // 2 if mask is None else mask
    mask = mask if first else ~mask
    kept = int(mask.sum())
    return Coupling(mask, net(kept, 2 * (channels - kept), CONTEXT), affine(), axis=-3)


def given(channels):
    return Given(net(CONTEXT, 2 * channels), affine(), axis=-3)


def level(channels, size):
    """Two levels of all that acts on fields, as the model builds them."""
    outer = Squeeze(channels, size)
    transform = None
    for squeeze in (Squeeze(channels, outer.size), outer):
        present = squeeze.present()
        half = 2 * channels
        first = torch.arange(2 * half) < half
        steps = [
            Mixing(haar(channels), present.all(0)),
            Coupling(first, Muted(net(half, 2 * half, 8), present[~first].repeat(2, 1, 1)), affine(), -3),
            Inverse(Given(Muted(net(8, 4 * half), present.repeat(2, 1, 1)), affine(), axis=-3)),
        ]
        inputs = CONTEXT if squeeze is outer else 8
        transform = Guided(Reduce(inputs, 8), Level(squeeze, Compose(steps), transform))
    return transform


LAYERS = {
    "standardize": lambda channels, size: Standardize((channels, *size), shared=2),
    "mixing": lambda channels, size: Mixing(torch.eye(channels).flip(0), torch.ones(size).bool()),
    "mixing where whole": lambda channels, size: Mixing(torch.eye(channels), torch.rand(size) < 0.7),
    "coupling": lambda channels, size: coupling(channels),
    "coupling, the other half": lambda channels, size: coupling(channels, first=False),
    "coupling of every other channel": lambda channels, size: coupling(channels, mask=alternating(channels)),
    "given": lambda channels, size: given(channels),
    "prior": lambda channels, size: Inverse(given(channels)),
    "guided": lambda channels, size: Guided(net(CONTEXT, CONTEXT), coupling(channels)),
    "levels": level,
}


def layer(kind, channels, size):
    """A layer in float64, fitted and moved from where it starts, with fields and contexts for it."""
    torch.manual_seed(0)
    found = LAYERS[kind](channels, size).double()
    batch = zoo.data((channels, *size), CONTEXT, 6)
    found.initialise(batch)
    zoo.perturb(found, 0.2, 1)
    return found, *batch


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_inverse_both_ways(kind, size):
    transform, x, c = layer(kind, 2, size)
    z, ladj = transform(x, c)
    assert z.shape == x.shape
    assert ladj.shape == (6,)
    back, ladj_back = transform.inverse(z, c)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-9, rtol=1e-9)
    there, _ = transform.inverse(x, c)
    torch.testing.assert_close(transform(there, c)[0], x, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_ladj_is_autodiffs_both_ways(kind, size):
    transform, x, c = layer(kind, 2, size)
    x, c = x[:2], c[:2]
    z, ladj = transform(x, c)
    torch.testing.assert_close(ladj, zoo.jacobian_ladj(transform, x, c), atol=1e-9, rtol=0)
    _, ladj = transform.inverse(z, c)
    torch.testing.assert_close(ladj, zoo.jacobian_ladj(transform.inverse, z, c), atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", LAYERS)
def test_an_example_does_not_move_with_the_rest(kind):
    transform, x, c = layer(kind, 2, (7, 9))
    others = torch.arange(6).view(-1, 1, 1, 1) > 0
    for way in (transform, transform.inverse):
        for together in (way(x, c), way(x + others * 100, c - others * 100)):
            for one, all_of_them in zip(way(x[0], c[0]), together, strict=True):
                torch.testing.assert_close(all_of_them[0], one, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("kind", LAYERS)
def test_any_dimensions_may_lead(kind):
    transform, x, c = layer(kind, 2, (7, 9))
    z, ladj = transform(x, c)
    led, ladj_led = transform(x.unflatten(0, (3, 2)), c.unflatten(0, (3, 2)))
    torch.testing.assert_close(led, z.unflatten(0, (3, 2)), atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(ladj_led, ladj.unflatten(0, (3, 2)), atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("kind", LAYERS)
def test_one_context_serves_all_that_lead(kind):
    transform, x, c = layer(kind, 2, (7, 9))
    x = x.unflatten(0, (3, 2))
    for way in (transform, transform.inverse):
        for once, each in zip(way(x, c[:2]), way(x, c[:2].expand(3, *c[:2].shape)), strict=True):
            torch.testing.assert_close(once, each, atol=1e-12, rtol=1e-12)


# --- blocks of four, some of whose cells are absent


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_squeezing_only_moves_cells(channels, size):
    x = torch.randn(5, channels, *size)
    squeeze = Squeeze(channels, size)
    z = squeeze.down(x)
    assert z.shape == (5, 4 * channels, *squeeze.size)
    assert torch.equal(squeeze.up(z), x)
    present = squeeze.present()
    assert int(present.sum()) == x[0].numel()
    assert torch.equal(z * present, z)
    assert torch.equal(z[:, present].sort(-1).values, x.flatten(1).sort(-1).values)


def test_channels_are_corners():
    x = torch.arange(16.0).view(1, 4, 4)
    assert Squeeze(1, (4, 4)).down(x)[:, 0, 0].tolist() == [0, 1, 4, 5]


def test_the_first_channels_are_in_every_cell():
    assert bool(Squeeze(3, (5, 7)).present()[:3].all())


def test_absent_cells_stay_zero():
    squeeze = Squeeze(2, (7, 9))
    absent = ~squeeze.present()
    outer, _, _ = layer("levels", 2, (7, 9))
    x, features = squeeze.down(zoo.data((2, 7, 9), n=3).x), torch.randn(3, 8, 4, 5).double()
    for step in outer.transform.transform:
        for way in (step, step.inverse):
            moved, _ = way(x, features)
            assert not torch.equal(moved, x)
            assert bool((moved[:, absent] == 0).all())


def test_what_is_not_whole_is_not_mixed():
    squeeze = Squeeze(1, (3, 4))
    whole = squeeze.present().all(0)
    assert whole.tolist() == [[True, True], [False, False]]
    mixing = Mixing(haar(1), whole)
    zoo.perturb(mixing, 0.3, 0)
    x = squeeze.down(torch.randn(5, 1, 3, 4))
    z, ladj = mixing(x)
    assert torch.equal(z[..., ~whole], x[..., ~whole])
    torch.testing.assert_close(ladj, 2 * mixing.factors.diagonal().sum().expand(5))


def test_features_tell_absent_cells_from_zeros():
    torch.manual_seed(0)
    reduce = Reduce(1, 4, depth=0)
    features = reduce(torch.zeros(1, 3, 4))
    assert features.shape == (4, 2, 2)
    assert torch.equal(features[:, 0, 0], features[:, 0, 1])
    assert not torch.allclose(features[:, 0], features[:, 1])


# --- their parts


@pytest.mark.parametrize("channels", [1, 3])
def test_mixing_starts_with_local_means(channels):
    squeeze = Squeeze(channels, (6, 8))
    x = torch.randn(5, channels, 6, 8)
    z, ladj = Mixing(haar(channels), torch.ones(3, 4).bool())(squeeze.down(x))
    torch.testing.assert_close(z[:, :channels], 2 * torch.nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(z.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)))
    assert torch.equal(ladj, torch.zeros(5))


@pytest.mark.parametrize("kind", ["coupling", "levels"])
def test_a_cell_depends_on_others(kind):
    transform, x, c = layer(kind, 2, (4, 4))
    jacobian = torch.func.jacrev(lambda p: transform(p, c[0])[0])(x[0])
    places = jacobian.abs().sum((0, 3)).flatten(0, 1).flatten(-2)
    assert bool(((places - places.diag().diag()).sum(1) > 0).all())


def test_one_unit_for_each_channel():
    x = zoo.data((3, 4, 5), n=200).x
    standardize = Standardize((3, 4, 5), shared=2).double()
    standardize.initialise(Batch(x))
    z, ladj = standardize(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3).double())
    torch.testing.assert_close(z.std((0, 2, 3), correction=0), torch.ones(3).double())
    torch.testing.assert_close(ladj, -20 * standardize.std.log().sum().expand(200))
    with pytest.raises(UserError, match="constant or non-finite"):
        standardize.initialise(Batch(x * torch.tensor([1, 0, 1]).view(3, 1, 1)))


@pytest.mark.parametrize("padding", ["zeros", "circular", "replicate"])
def test_nets_see_beyond_the_edges_what_they_are_told_to(padding):
    torch.manual_seed(0)
    convolutions = net(1, 1, padding=padding, depth=0)
    zoo.perturb(convolutions, 0.1, 0)
    field = torch.zeros(1, 6, 6)
    field[0, 3, 0] = 1
    seen = (convolutions(field) - convolutions(torch.zeros(1, 6, 6))).abs().sum((0, 1)) > 1e-6
    assert seen.tolist() == [True, True, True, False, *[padding == "circular"] * 2]


def test_a_net_starts_at_zero():
    assert not net(2, 3)(torch.randn(4, 2, 5, 5)).any()
