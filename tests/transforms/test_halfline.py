"""From one end to the reals."""

from __future__ import annotations

import math

import pytest
import torch
import zoo

from flows.core import Batch, Compose, Spec, Transform
from flows.errors import UserError
from flows.transforms import Halfline, Rescale, to_reals

SPEC = Spec(
    names=("low", "high", "none", "both"),
    shape=(4,),
    support=((-1.0, None), (None, 3.0), None, (0.0, 2.0)),
)
TRANSFORMS = {
    "halfline": lambda: Halfline(SPEC),
    "rescale": lambda: Rescale(SPEC),
    "to the reals": lambda: Compose(to_reals(SPEC)),
}


def inside(n: int = 200) -> torch.Tensor:
    z = torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.stack((-1 + z[:, 0].exp(), 3 - 50 * z[:, 1].exp(), 9 * z[:, 2], 2 * z[:, 3].sigmoid()), 1)


def fitted(name: str) -> Transform:
    transform = TRANSFORMS[name]().double()
    transform.initialise(Batch(inside()))
    return transform


@pytest.mark.parametrize("name", TRANSFORMS)
def test_inverse_both_ways_and_ladj_is_autodiffs(name):
    zoo.check_bijection(fitted(name), inside())


@pytest.mark.parametrize("name", TRANSFORMS)
def test_it_grows_with_every_feature(name):
    transform, x = fitted(name), inside()
    z, _ = transform(x)
    for feature in range(4):
        assert torch.equal(z[:, feature].argsort(), x[:, feature].argsort())


def test_distances_are_standardised_by_their_logarithm():
    rescale = fitted("rescale")
    z, _ = rescale(inside())
    torch.testing.assert_close(z[:, :3].mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(z[:, :3].std(0, correction=0), torch.ones(3).double())


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_units_of_any_size_fit(scale):
    x = inside().clone()
    x[:, 0] = (x[:, 0] + 1) * scale
    rescale = Rescale(SPEC._replace(support=((0.0, None), *(SPEC.support or ())[1:]))).double()
    rescale.initialise(Batch(x))
    z, _ = rescale(x)
    torch.testing.assert_close(z, fitted("rescale")(inside())[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("spread", [1.0, 5.0])
def test_heavy_tails_keep_their_points_apart(spread):
    z = spread * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    rescale = Rescale(Spec(names=("a",), shape=(1,), support=((0.0, None),)))
    rescale.initialise(Batch(z.exp().double()))
    assert len(rescale(z.exp())[0].unique()) > 3990
    torch.testing.assert_close(rescale.inverse(rescale(z.exp())[0])[0], z.exp(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_draws_far_out_stay_finite_and_within(name):
    z = torch.tensor([[-1e4] * 4, [1e4] * 4])
    x, ladj = fitted(name).float().inverse(z if name == "to the reals" else z.clamp(max=0.5) + 0.5)
    assert x.isfinite().all()
    assert ladj.isfinite().all()
    assert bool((x[:, 0] >= -1).all() and (x[:, 1] <= 3).all())


def test_in_double_precision_the_end_is_that_of_double_precision():
    spec = Spec(names=("a",), shape=(1,), support=((0.1, None),))
    _, ladj = Halfline(spec).double()(torch.tensor([[0.1], [math.nextafter(0.1, 0)]], dtype=torch.float64))
    assert ladj.isneginf().tolist() == [False, True]


def test_what_lies_on_the_end_alone_has_no_unit():
    x = inside()
    x[:, 0] = -1.0
    with pytest.raises(UserError, match="constant"):
        Rescale(SPEC).double().initialise(Batch(x))
