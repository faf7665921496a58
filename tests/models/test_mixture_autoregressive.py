"""The autoregressive flow of mixtures."""

from __future__ import annotations

import pytest
import torch
import zoo

from flows.core import Batch, Spec
from flows.errors import UserError
from flows.models.mixture_autoregressive import mixture_autoregressive

BOUNDED = Spec(names=("a", "b", "c"), shape=(3,), support=((0.0, 2.0), None, (-1.0, 1.0)))


def flow(**settings):
    torch.manual_seed(0)
    found = mixture_autoregressive(BOUNDED, width=16, components=3, **settings).double()
    x = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)).double()
    found.initialise(Batch(x))
    zoo.perturb(found, 0.3, 0)
    return found.eval()


@pytest.mark.parametrize("order", [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]])
def test_features_depend_on_those_before_them_in_the_order(order):
    found = flow(order=order)
    x = torch.tensor([0.7, 0.4, 0.1]).double()
    jacobian = torch.func.jacrev(lambda p: found.transform(p)[0])(x)
    places = [BOUNDED.names.index(name) for name in order]
    inner = jacobian[places][:, places]
    assert torch.equal(inner.triu(1), torch.zeros_like(inner))
    assert bool((inner.tril() != 0)[torch.ones(3, 3).tril().bool()].all())


def test_bounded_features_stay_in_their_bounds():
    draws = flow().sample(2000, generator=torch.Generator().manual_seed(0))
    assert bool(((draws[:, 0] > 0) & (draws[:, 0] < 2)).all())
    assert bool((draws[:, 2].abs() < 1).all())
    assert float(draws[:, 1].abs().max()) > 1


def test_bounded_or_not_it_inverts():
    found = flow()
    z = torch.randn(200, 3, generator=torch.Generator().manual_seed(1)).double()
    x, ladj = found.transform.inverse(z)
    back, ladj_back = found.transform(x)
    torch.testing.assert_close(back, z, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-4, rtol=1e-4)


def test_an_order_names_each_feature_once():
    with pytest.raises(UserError, match=r"model.order: \['a', 'b'\] is no order of a, b, c; name each once"):
        mixture_autoregressive(BOUNDED, order=["a", "b"])
    with pytest.raises(UserError, match="has to be as large as the number of features, 3"):
        mixture_autoregressive(BOUNDED, width=2)
    with pytest.raises(UserError, match="needs vectors"):
        mixture_autoregressive(Spec(names=("a",), shape=(1, 4, 4)))
