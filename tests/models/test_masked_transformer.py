"""What is the masked transformer's own: every conditional, every order, and draws that follow them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import zoo
from scipy import stats
from torch import Tensor

from flows.core import Spec
from flows.errors import UserError
from flows.models.masked_transformer import MaskedTransformer, masked_transformer

MIXED = Spec(
    names=("a", "b", "c"),
    shape=(3,),
    context_names=("given",),
    context_shape=(1,),
    support=((0.0, 2.0), None, (-1.0, 1.0)),
)
C = torch.tensor([0.7], dtype=torch.float64)


def model(spec: Spec = MIXED, orders: int = 3, seed: int = 0) -> MaskedTransformer:
    torch.manual_seed(seed)
    net = masked_transformer(
        spec, width=16, heads=2, layers=2, hidden=2, components=3, octaves=2, orders=orders
    )
    zoo.perturb(net.double(), 0.3, seed)
    return net.eval()


def points(n: int = 50, seed: int = 0) -> Tensor:
    unit = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return unit * torch.tensor([2.0, 4.0, 2.0]) + torch.tensor([0.0, -2.0, -1.0])


def context(n: int = 50) -> Tensor:
    return C.expand(n, 1)


def subsets(features: int = 3) -> list[Tensor]:
    return [torch.tensor(bits) for bits in itertools.product([False, True], repeat=features)]


@pytest.mark.parametrize("observed", subsets(), ids=str)
def test_a_conditional_depends_on_what_is_observed_alone(observed):
    net, x = model(), points()
    before = net.conditional_log_prob(x, observed, context())
    for feature in range(3):
        moved = x.clone()
        moved[:, feature] = moved[:, feature].flip(0)
        after = net.conditional_log_prob(moved, observed, context())
        others = [k for k in range(3) if k != feature and not observed[k]]
        same = torch.isclose(after, before, atol=1e-12).all(0)[others]
        assert same.tolist() == [not observed[feature]] * len(others)
    assert (before[:, observed] == 0).all()


@pytest.mark.parametrize("observed", subsets(), ids=str)
def test_each_conditional_integrates_to_one(observed):
    net, x = model(), points(1)
    for feature in (~observed).nonzero()[:, 0].tolist():
        low, high = MIXED.ends(feature) if feature != 1 else (-60.0, 60.0)
        line = torch.linspace(low, high, 4_001, dtype=torch.float64)
        at = x.repeat(len(line), 1)
        at[:, feature] = line
        with torch.no_grad():
            p = net.conditional_log_prob(at, observed, context(len(at)))[:, feature].exp()
        assert float(torch.trapezoid(p, line)) == pytest.approx(1, abs=1e-4)


ALIKE = [pytest.param(ends, marks=pytest.mark.slow) for ends in (None, ((0.0, 1.0), (0.0, 1.0)))]


@pytest.mark.parametrize("support", [((0.0, 1.0), None), *ALIKE], ids=str)
def test_in_the_plane_each_order_integrates_to_one(support):
    net = model(Spec(names=("a", "b"), shape=(2,), support=support), orders=2)
    ends = [(0.0, 1.0) if support and support[k] else (-40.0, 40.0) for k in range(2)]
    axes = [torch.linspace(*pair, 401, dtype=torch.float64) for pair in ends]
    grid = torch.cartesian_prod(*axes)

    def integral(log_prob: Tensor) -> float:
        p = log_prob.exp().reshape(401, 401)
        return float(torch.trapezoid(torch.trapezoid(p, axes[1]), axes[0]))

    assert len(net.orders) == 2
    with torch.no_grad():
        for order in net.orders:
            assert integral(net.order_log_prob(grid, order)) == pytest.approx(1, abs=2e-3)
        one, other = (net.order_log_prob(grid[::97], order) for order in net.orders)
    assert not torch.allclose(one, other)


def test_an_order_is_the_chain_of_its_conditionals():
    net, x = model(), points()
    for order in itertools.permutations(range(3)):
        chain = torch.zeros(len(x), dtype=torch.float64)
        observed = torch.zeros(3, dtype=torch.bool)
        for feature in order:
            chain = chain + net.conditional_log_prob(x, observed, context())[:, feature]
            observed = observed.clone()
            observed[feature] = True
        torch.testing.assert_close(net.order_log_prob(x, torch.tensor(order), context()), chain)


def test_the_density_is_the_mixture_of_its_orders_and_not_their_geometric_mean():
    net, x = model(), points()
    each = torch.stack([net.order_log_prob(x, order, context()) for order in net.orders])
    log_prob = net.log_prob(x, context())
    torch.testing.assert_close(log_prob.exp(), each.exp().mean(0))
    assert (log_prob > each.mean(0)).all()


@pytest.mark.parametrize("observed", subsets(), ids=str)
def test_joint_of_the_hidden_is_the_ratio_of_joints_in_an_order_that_begins_with_the_observed(observed):
    net, x = model(orders=1), points()
    net.orders = torch.cat((observed.nonzero(), (~observed).nonzero()))[:, 0].unsqueeze(0)
    joint = net.joint_log_prob(x, observed, context())
    first = torch.zeros(len(x), dtype=torch.float64)
    known = torch.zeros(3, dtype=torch.bool)
    for feature in observed.nonzero()[:, 0].tolist():
        first = first + net.conditional_log_prob(x, known, context())[:, feature]
        known[feature] = True
    torch.testing.assert_close(joint, net.log_prob(x, context()) - first)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)], ids=str)
def test_draws_in_an_order_follow_its_conditionals(order):
    """Each coordinate through its own conditional distribution function must come out uniform."""
    net = model()
    net.orders = torch.tensor([order])
    x = net.sample(250, C, torch.Generator().manual_seed(0))
    observed = torch.zeros(3, dtype=torch.bool)
    for feature in order:
        p = _below(net, x, observed, feature)
        assert stats.kstest(p.numpy(), "uniform").pvalue > 1e-3
        observed[feature] = True


@torch.no_grad()
def _below(net: MaskedTransformer, x: Tensor, observed: Tensor, feature: int) -> Tensor:
    """The mass of a conditional below each point, by quadrature."""
    low, high = MIXED.ends(feature) if feature != 1 else (-12.0, 12.0)
    line = torch.linspace(low, high, 151, dtype=torch.float64)
    at = x.unsqueeze(1).repeat(1, len(line), 1)
    at[..., feature] = line
    p = torch.cat(
        [
            net.conditional_log_prob(some, observed, C.expand(*some.shape[:-1], 1))[..., feature].exp()
            for some in at.split(200)
        ]
    )
    cdf = torch.cat((torch.zeros(len(x), 1), torch.cumulative_trapezoid(p, line)), 1)
    place = (x[:, feature] - low) / (high - low) * (len(line) - 1)
    left = place.floor().long().clamp(0, len(line) - 2).unsqueeze(1)
    share = place.unsqueeze(1) - left
    return (cdf.gather(1, left) * (1 - share) + cdf.gather(1, left + 1) * share)[:, 0]


def test_draws_of_the_mixture_come_from_all_orders():
    """Truth over model averages to 1 over draws of the mixture, not over draws of one order."""
    net = model(seed=3)
    x = net.sample(20_000, C, torch.Generator().manual_seed(0))
    one = net.order_log_prob(x, net.orders[0], C.expand(len(x), 1)).detach()
    ratio = (one - net.log_prob(x, C.expand(len(x), 1)).detach()).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(len(x))
    assert float(ratio.std()) > 0.05  # so that draws of one order alone would be noticed


@pytest.mark.parametrize("observed", subsets()[1:-1], ids=str)
def test_imputed_draws_keep_what_is_observed_and_follow_the_conditional(observed):
    net = model(orders=1)
    x = points(1).repeat(250, 1).masked_fill(~observed, float("nan"))
    drawn = net.impute(x, observed, C.expand(250, 1), torch.Generator().manual_seed(1))
    assert torch.equal(drawn[:, observed], x[:, observed])
    first = int((~observed).nonzero()[0, 0])
    assert stats.kstest(_below(net, drawn, observed, first).numpy(), "uniform").pvalue > 1e-3


def test_draws_stay_in_the_support_in_single_precision():
    net = model().float()
    x = net.sample(20_000, C.float(), torch.Generator().manual_seed(0))
    assert bool(((x[:, 0] >= 0) & (x[:, 0] <= 2)).all())
    assert net.log_prob(x, C.float().expand(len(x), 1)).isfinite().all()


def test_orders_by_number_are_distinct_and_always_the_same():
    assert model(orders=1).orders.tolist() == [[0, 1, 2]]
    assert len({tuple(row) for row in model(orders=5).orders.tolist()}) == 5
    assert torch.equal(model(orders=5).orders, model(orders=5, seed=9).orders)
    assert len(model(orders=100).orders) == 6


def test_orders_by_name():
    net = masked_transformer(MIXED, width=8, heads=2, layers=1, orders=[["c", "a", "b"]])
    assert net.orders.tolist() == [[2, 0, 1]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"orders": [["a", "b"]]}, "no order of a, b, c"),
        ({"orders": [["a", "b", "b"]]}, "no order of a, b, c"),
        ({"orders": []}, "name one order"),
        ({"heads": 3}, "model.heads=3: has to divide model.width=128"),
    ],
)
def test_what_can_not_work_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        masked_transformer(MIXED, **options)
    with pytest.raises(UserError, match="vectors"):
        masked_transformer(Spec(("a",), (1, 8, 8)))


def test_one_feature_is_enough():
    net = model(Spec(names=("a",), shape=(1,)), orders=1)
    assert net.log_prob(net.sample(5)).shape == (5,)


def test_a_context_is_needed_where_there_is_one_and_refused_where_there_is_none():
    given = Spec(names=("a", "b"), shape=(2,), context_names=("c",), context_shape=(1,))
    x, context = torch.zeros(3, 2), torch.zeros(3, 1)
    with pytest.raises(ValueError, match="a context is needed"):
        masked_transformer(given, width=8, heads=2, layers=1).log_prob(x)
    with pytest.raises(ValueError, match="takes no context"):
        masked_transformer(Spec(("a", "b"), (2,)), width=8, heads=2, layers=1).log_prob(x, context)
