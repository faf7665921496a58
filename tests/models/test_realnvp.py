"""What is RealNVP's own."""

from __future__ import annotations

import pytest
import torch
import zoo

from flows.core import Spec
from flows.errors import UserError
from flows.models.realnvp import realnvp


@pytest.mark.parametrize("features", [2, 3, 7])
def test_every_feature_is_transformed(features):
    flow = zoo.as_flow(zoo.model("realnvp", features))
    x = zoo.data(features, n=1).x[0]
    jacobian = torch.func.jacrev(lambda p: flow.transform(p)[0])(x)
    off_diagonal = jacobian - jacobian.diag().diag()
    assert (off_diagonal.abs().sum(1) > 0).all()


def test_scales_stay_bounded_far_from_the_data():
    flow = zoo.as_flow(zoo.model("realnvp", 2))
    z, ladj = flow.transform(torch.tensor([[1e6, -1e6]], dtype=torch.float64))
    assert z.isfinite().all()
    assert float(ladj.detach().abs()) <= 4 * 2.0 + 10  # four layers of two nats, and the data's scale
    torch.testing.assert_close(flow.transform.inverse(z)[0], torch.tensor([[1e6, -1e6]]).double())


def test_at_the_start_it_is_its_base():
    flow = realnvp(zoo.spec(3))
    x = torch.randn(10, 3)
    assert torch.equal(flow.log_prob(x), flow.base.log_prob(x))


@pytest.mark.parametrize("shared_net", [True, False])
def test_separate_nets_double_the_parameters_of_the_hidden_layers(shared_net):
    flow = realnvp(zoo.spec(2), layers=1, width=8, depth=1, shared_net=shared_net)
    hidden, last = 1 * 8 + 8, 8 + 1
    nets = 1 if shared_net else 2
    assert sum(p.numel() for p in flow.parameters()) == nets * hidden + 2 * last


@pytest.mark.parametrize("shape", [(1,), (3, 4, 4)])
def test_what_it_cannot_model_is_refused(shape):
    with pytest.raises(UserError, match="vectors of 2 features or more"):
        realnvp(Spec(names=("a",), shape=shape))
