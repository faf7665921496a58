"""From a support to the unit interval and to the reals."""

from __future__ import annotations

import math

import pytest
import torch
import zoo

from flows.core import Batch, Compose, Spec, Transform
from flows.errors import UserError
from flows.training.player import fill
from flows.transforms import Logit, Probit, Rescale, bounded, to_reals

TENTHS = Spec(names=("a", "b"), shape=(2,), support=((0.1, 0.7), (0.2, 0.3)))
SPEC = Spec(names=("a", "b", "c"), shape=(3,), support=((-1.0, 3.0), None, (0.0, 1.0)))


def inside(n: int = 200) -> torch.Tensor:
    unit = torch.rand(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return unit * torch.tensor([4.0, 20.0, 1.0]) + torch.tensor([-1.0, -5.0, 0.0])


def fitted(transform: Transform) -> Transform:
    transform.double().initialise(Batch(inside()))
    return transform


TRANSFORMS = {
    "rescale": lambda: Rescale(SPEC),
    "logit": lambda: Compose([Rescale(SPEC), Logit(bounded(SPEC))]),
    "probit": lambda: Compose([Rescale(SPEC), Probit(bounded(SPEC))]),
    "to the reals": lambda: Compose(to_reals(SPEC)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_inverse_both_ways_and_ladj_is_autodiffs(name):
    zoo.check_bijection(fitted(TRANSFORMS[name]()), inside())


def test_bounded_features_fill_the_unit_interval_and_others_are_standardised():
    x = inside(4000)
    rescale = Rescale(SPEC).double()
    rescale.initialise(Batch(x))
    z, _ = rescale(x)
    assert torch.equal(z[:, 0], (x[:, 0] + 1) / 4)
    torch.testing.assert_close(z[:, 1].std(correction=0), torch.tensor(1.0).double())


@pytest.mark.parametrize("name", TRANSFORMS)
def test_beyond_the_support_there_is_nothing(name):
    transform = fitted(TRANSFORMS[name]()).float()
    ladj = transform(torch.tensor([[-1.1, 0.0, 0.5], [0.0, 1e6, 0.5], [0.0, 0.0, 1.01]]))[1]
    assert ladj.isinf().tolist() == [True, False, True]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_ends_themselves_are_finite(name):
    transform = fitted(TRANSFORMS[name]()).float()
    z, ladj = transform(torch.tensor([[-1.0, 0.0, 0.0], [3.0, 0.0, 1.0]]))
    assert z.isfinite().all()
    assert ladj.isfinite().all()


def to_double(rescale: Rescale) -> Rescale:
    return rescale.double()


def loaded(rescale: Rescale) -> Rescale:
    """As a run in double precision starts from one in single."""
    fill(rescale, Rescale(TENTHS).state_dict())
    return rescale.to(torch.float64)


@pytest.mark.parametrize("way", [to_double, loaded])
def test_in_double_precision_the_ends_are_those_of_double_precision(way):
    ends = torch.tensor(TENTHS.support, dtype=torch.float64).T
    _, ladj = way(Rescale(TENTHS))(ends)
    assert ladj.tolist() == [-math.log(0.7 - 0.1) - math.log(0.3 - 0.2)] * 2
    _, ladj = way(Rescale(TENTHS)).float()(ends.float())
    assert ladj.isfinite().all()
    _, ladj = way(Rescale(TENTHS))(ends + torch.tensor([[-1e-9], [1e-9]]))
    assert ladj.isinf().all()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_latent_is_carried_out_of_the_support(name):
    transform = fitted(TRANSFORMS[name]()).float()
    z = torch.tensor([[-30.0] * 3, [30.0] * 3]) if name != "rescale" else torch.tensor([[0.0] * 3, [1.0] * 3])
    x, ladj = transform.inverse(z)
    assert x[0, 0] >= -1
    assert x[1, 0] <= 3
    assert 0 <= x[0, 2] < x[1, 2] <= 1
    assert ladj.isfinite().all()


def test_only_unbounded_features_have_to_vary():
    constant = inside()
    constant[:, 0] = 2.0
    Rescale(SPEC).double().initialise(Batch(constant))
    constant[:, 1] = 2.0
    with pytest.raises(UserError, match="constant"):
        Rescale(SPEC).double().initialise(Batch(constant))
