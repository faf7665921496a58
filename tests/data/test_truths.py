"""Toys' densities: normalised, accurate, and those of the draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from sklearn.datasets import make_circles, make_moons

from data import shapes, toys
from data.bends import Bend, Twist, Widen
from data.mixture import Mixture
from data.shapes import Box, Gaussians, Ring, ribbon
from data.strewn import half_circles, two_circles
from flows.errors import UserError

WIDE = ("banana", "funnel")  # tails that leave any square
RIBBONS = ("moons", "spirals", "swiss_roll")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def plane(name):
    """Points and cells that cover all the mass: the midpoint rule, stretched by sinh where tails are long."""
    reach, step = (9.0, 0.03) if name in WIDE else (6.0, 0.05)
    ticks = torch.arange(-reach + step / 2, reach, step, dtype=torch.float64)
    points = torch.cartesian_prod(ticks, ticks)
    if name in WIDE:
        return points.sinh(), step**2 * points.cosh().prod(-1)
    return points, torch.full((len(points),), step**2, dtype=torch.float64)


def mass(truth, name, context=None):
    points, cells = plane(name)
    context = context if context is None else context.unsqueeze(0)
    points = points if context is None else points.unsqueeze(1)
    blocks = zip(points.split(8192), cells.split(8192), strict=True)
    return sum(cell @ truth.log_prob(block, context).exp() for block, cell in blocks)


def entropy(truth, name):
    points, cells = plane(name)
    log_prob = truth.log_prob(points)
    return -(cells @ torch.where(log_prob > -700, log_prob * log_prob.exp(), 0.0)).item()


def chi_square(x, truth, context=None):
    """p-value of x (N, 2) against the truth on 40 x 40 bins; all that lies outside is one bin more."""
    edges = np.linspace(-4, 4, 41)
    seen = np.histogram2d(x[:, 0], x[:, 1], [edges, edges])[0].flatten()
    node, share = np.polynomial.legendre.leggauss(8)
    ticks = torch.from_numpy((edges[:-1, None] + 0.1 * (1 + node)).flatten())
    weight = torch.from_numpy(np.tile(share / 2, 40))
    p = truth.log_prob(torch.cartesian_prod(ticks, ticks), context).exp().reshape(320, 320)
    p = 0.2**2 * (p * weight * weight[:, None]).reshape(40, 8, 40, 8).sum((1, 3)).flatten().numpy()
    expected = len(x) * p
    large = expected >= 5
    seen = np.append(seen[large], len(x) - seen[large].sum())
    expected = np.append(expected[large], len(x) - expected[large].sum())
    if expected[-1] < 5:
        if seen[-1] > 25:
            return 0.0
        seen, expected = seen[:-1], expected[:-1]
    return chi2.sf(((seen - expected) ** 2 / expected).sum(), len(seen) - 1)


def test_density_integrates_to_one(builder, name):
    assert mass(builder().truth, name).item() == pytest.approx(1, abs=1e-4)


def test_each_conditional_integrates_to_one_and_they_mix_to_the_marginal(labelled, request):
    name = request.node.callspec.params["labelled"]
    truth = labelled.truth
    each = torch.eye(len(truth))
    torch.testing.assert_close(mass(truth, name, each), torch.ones(len(truth)).double(), atol=1e-4, rtol=0)
    x = labelled.source("val").x
    mixed = truth.log_prob(x.unsqueeze(1), each).exp().mean(-1)
    torch.testing.assert_close(mixed, truth.log_prob(x).exp())
    torch.testing.assert_close(truth.log_prob(x, each.mean(0)), truth.log_prob(x))


def test_one_point_or_none_is_as_good_as_many(builder):
    truth = builder().truth
    x = truth.sample(3, generator=seeded())
    torch.testing.assert_close(torch.stack([truth.log_prob(one) for one in x]), truth.log_prob(x))
    assert truth.sample(0, generator=seeded()).shape == (0, 2)


def test_dataset_and_truth_draw_from_the_density(builder):
    toy = builder()
    assert chi_square(toy.source("test").x, toy.truth) > 1e-3
    draws = toy.truth.sample(20_000, generator=seeded())
    assert draws.dtype == torch.float64
    assert chi_square(draws, toy.truth) > 1e-3


def test_each_class_is_drawn_from_its_own_density(labelled):
    x, context = labelled.source("test").take(slice(None))
    draws = labelled.truth.sample(10_000, torch.eye(len(labelled.truth)), seeded())
    for k in {0, len(labelled.truth) - 1}:
        one = torch.eye(len(labelled.truth))[k]
        assert chi_square(x[context[:, k] == 1], labelled.truth, one) > 1e-3
        assert chi_square(draws[:, k], labelled.truth, one) > 1e-3


def test_chi_square_notices_a_wrong_density():
    x = toys.moons().source("test").x
    one_moon = Mixture([toys.moons().truth.components[0]])
    for wrong in (toys.moons(noise=0.06).truth, toys.circles().truth, one_moon):
        assert chi_square(x, wrong) < 1e-6


@pytest.mark.parametrize(("noise", "expected"), [(0.05, 0.290), (0.1, 1.009)])
def test_entropy_of_two_moons(noise, expected):
    toy = toys.moons(noise=noise)
    assert entropy(toy.truth, "moons") == pytest.approx(expected, abs=0.005)
    draws = -toy.truth.log_prob(toy.truth.sample(20_000, generator=seeded()))
    room = 0.005 + 4 * draws.std().item() / len(draws) ** 0.5
    assert draws.mean().item() == pytest.approx(expected, abs=room)


def test_entropies_that_have_a_formula():
    square = math.log(8 * 2**2)
    assert toys.checkerboard().truth.log_prob(toys.checkerboard().source("test").x).mean() == pytest.approx(
        -square
    )
    gaussian = 1 + math.log(2 * math.pi)
    assert entropy(toys.banana().truth, "banana") == pytest.approx(gaussian + math.log(1.5 * 0.4), abs=1e-4)
    assert entropy(toys.funnel().truth, "funnel") == pytest.approx(gaussian + math.log(1.5), abs=1e-4)
    assert entropy(toys.gaussian_grid().truth, "gaussian_grid") == pytest.approx(
        gaussian + 2 * math.log(0.05) + math.log(25), abs=1e-4
    )


@pytest.mark.parametrize("noise", [0.03, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", RIBBONS)
def test_quadrature_is_right_where_data_lie(name, noise, monkeypatch):
    toy = getattr(toys, name)(noise=noise)
    x = toy.source("val").x
    monkeypatch.setattr(shapes, "PANEL", shapes.PANEL / 2)
    monkeypatch.setattr(shapes, "PANELS", shapes.PANELS * 2)
    finer = getattr(toys, name)(noise=noise).truth
    assert len(finer.components[0].centres) > len(toy.truth.components[0].centres)
    assert (finer.log_prob(x) - toy.truth.log_prob(x)).abs().max() < 1e-4


def polar(radius, angle):
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


@pytest.mark.parametrize("n", [1, 2, 7, 30_000])
def test_points_are_those_of_scikit_learn(n):
    told = {"noise": 0.05, "random_state": 5}
    for ours, theirs in (
        (half_circles(n, **told), make_moons(n, **told)),
        (two_circles(n, factor=0.3, **told), make_circles(n, factor=0.3, **told)),
    ):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def by_hand(name, n, rng):
    """Draws as a toy's docstring describes them, by numpy alone; scikit-learn's draws serve the rest."""
    blur, k = rng.normal(size=(n, 2)), rng.integers(0, 240, n)
    match name:
        case "rings":
            return polar(3 * (k % 4 + 1) / 4, rng.uniform(0, 2 * np.pi, n)) + 0.08 * blur
        case "eight_gaussians":
            return polar(2.8, k % 8 * np.pi / 4) + 0.35 * blur
        case "gaussian_grid":
            return np.stack([2.0 * rng.integers(-2, 3, n), 2.0 * rng.integers(-2, 3, n)], -1) + 0.05 * blur
        case "pinwheel":
            u, v = 2 + 0.6 * blur[:, 0], 0.2 * blur[:, 1]
            radius = np.hypot(u, v)
            return polar(radius, np.arctan2(v, u) + k % 5 * 2 * np.pi / 5 + 0.4 * radius)
        case "spirals":
            t = np.sqrt(rng.uniform(size=n))
            return polar(3.2 * t, np.pi - 3 * np.pi * t + k % 2 * np.pi) + 0.1 * blur
        case "checkerboard":
            x, y = rng.uniform(-4, 4, n), rng.uniform(0, 2, n)
            return np.stack([x, y + 4 * (k % 2) - 4 + 2 * (np.floor((x + 4) / 2) % 2)], -1)
        case "banana":
            x = 1.5 * blur[:, 0]
            return np.stack([x, 0.3 * (x**2 - 1.5**2) + 0.4 * blur[:, 1]], -1)
        case "funnel":
            y = 1.5 * blur[:, 1]
            return np.stack([np.exp(y / 2) * blur[:, 0], y], -1)
    pytest.fail(f"{name} needs draws of its own here")


def test_truth_has_the_law_it_says(builder, name):
    toy = builder()
    if name in ("moons", "circles", "swiss_roll"):
        assert toy._draw != toy._from_truth, "these are scikit-learn's draws, so they are the check"
    else:
        assert chi_square(by_hand(name, 20_000, np.random.default_rng(0)), toy.truth) > 1e-3


def test_ring_is_a_closed_ribbon():
    def circle(t):
        return 1.5 * torch.stack([t.cos(), t.sin()], -1)

    x = 3 * torch.randn(500, 2, generator=seeded(), dtype=torch.float64)
    for noise in (0.2, 2.0):
        by_quadrature = ribbon(circle, (0, 2 * math.pi), noise).log_prob(x)
        torch.testing.assert_close(Ring(1.5, noise).log_prob(x), by_quadrature, atol=1e-4, rtol=0)
    point = Gaussians(torch.zeros(1, 2), 0.3).log_prob(x)
    torch.testing.assert_close(Ring(0.0, 0.3).log_prob(x), point)


def test_gaussians_agree_with_torch():
    centres, weights = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([1.0, 3.0])
    normal = torch.distributions.Normal(centres.double(), torch.tensor([0.5, 2.0]).double())
    reference = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(weights.double()), torch.distributions.Independent(normal, 1)
    )
    ours = Gaussians(centres, (0.5, 2.0), weights)
    x = 3 * torch.randn(500, 2, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(x), reference.log_prob(x))
    draws = ours.sample(50_000, generator=seeded())
    torch.testing.assert_close(draws.mean(0), reference.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(draws.var(0), reference.variance, atol=0.1, rtol=0.02)


def test_gaussians_read_in_blocks_are_the_same(monkeypatch):
    toy = toys.moons()
    x = toy.source("val").x[:1000]
    whole = toy.truth.log_prob(x)
    monkeypatch.setattr(shapes, "BLOCK", 3000)
    torch.testing.assert_close(toy.truth.log_prob(x), whole)
    torch.testing.assert_close(toy.truth.log_prob(x.reshape(10, 100, 2)), whole.reshape(10, 100))


def test_box_ends_at_its_corners():
    box = Box((0.0, 1.0), (2.0, 4.0))
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0], [-0.1, 2.0], [1.0, 4.1]])
    assert box.log_prob(x).exp().tolist() == pytest.approx([1 / 6, 1 / 6, 0, 0])
    with pytest.raises(UserError, match="high above low"):
        Box((0.0, 1.0), (2.0, 1.0))


@pytest.mark.parametrize(
    "bend", [Twist(0.5, 0.4), Bend(0.3, 1.5), Widen()], ids=lambda bend: type(bend).__name__
)
def test_bends_invert_and_know_their_volume(bend):
    x = torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    z, ladj = bend(x)
    back, inverse = bend.inverse(z)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(inverse, -ladj)
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda point: bend(point)[0], row) for row in x]
    )
    torch.testing.assert_close(ladj, torch.linalg.slogdet(jacobian).logabsdet)
    assert (z - x).abs().max() > 0.1


def test_log_prob_is_float64_whatever_x_is(builder):
    toy = builder()
    x = toy.source("val").x.float()
    single = toy.truth.log_prob(x)
    assert single.dtype == torch.float64
    assert torch.equal(single, toy.truth.log_prob(x.double()))
    assert torch.equal(single.reshape(50, 100), toy.truth.log_prob(x.reshape(50, 100, 2)))


@pytest.mark.parametrize("name", ["moons", "rings", "pinwheel"])
def test_log_prob_has_a_gradient(name):
    toy = getattr(toys, name)(noise=0.2)
    x = toy.source("val").x[:5].clone().requires_grad_()
    assert torch.autograd.gradcheck(toy.truth.log_prob, x)


def test_far_away_is_unlikely_and_never_nan(builder):
    far = torch.tensor([[1e3, 0.0], [0.0, -1e3], [1e6, 1e6], [1.0, -1e6]], dtype=torch.float64)
    assert (builder().truth.log_prob(far) < -30).all()


def test_samples_take_contexts_shape_and_generators_state(labelled):
    truth = labelled.truth
    context = torch.eye(len(truth))[torch.randint(len(truth), (3, 4), generator=seeded())]
    draws = truth.sample(5, context, seeded(1))
    assert draws.shape == (5, 3, 4, 2) and draws.dtype == torch.float64
    assert torch.equal(draws, truth.sample(5, context, seeded(1)))
    assert not torch.equal(draws, truth.sample(5, context, seeded(2)))
    assert truth.log_prob(draws, context).shape == (5, 3, 4)
    own = truth.log_prob(draws, context)
    assert own.isfinite().all()
    assert own.mean() > truth.log_prob(draws, context.roll(1, -1)).mean()


def test_context_of_another_width_is_refused():
    with pytest.raises(UserError, match="3 features, but the truth has 2 components"):
        toys.moons().truth.log_prob(torch.zeros(7, 2), torch.eye(3)[[0] * 7])
