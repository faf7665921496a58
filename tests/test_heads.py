"""Densities of one number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flows.heads import Head, Plateaus

HEAD = Head(torch.tensor([True, False]), components=5).double()
each_feature = pytest.mark.parametrize("feature", [0, 1])
FEW = settings(max_examples=25)  # each looks at a whole curve
some = given(st.integers(0, 1000), st.floats(0.0, 2.0))


def mixture(feature: int, seed: int, scale: float = 1.0, n: int = 1) -> Plateaus:
    generator = torch.Generator().manual_seed(seed)
    theta = scale * torch.randn(HEAD.params, generator=generator, dtype=torch.float64)
    return HEAD(theta.expand(n, -1), feature)


def grid(feature: int, n: int | None = None) -> torch.Tensor:
    """Fine enough for the steepest edge that a test meets."""
    low, high, fine = (0.0, 1.0, 10_001) if feature == 0 else (-60.0, 60.0, 40_001)
    return torch.linspace(low, high, n or fine, dtype=torch.float64)


@each_feature
@FEW
@some
def test_each_is_a_density(feature, seed, scale):
    at = grid(feature)
    p = mixture(feature, seed, scale).log_prob(at).exp()
    assert float(torch.trapezoid(p, at)) == pytest.approx(1, abs=1e-3)


@each_feature
@FEW
@some
def test_tails_are_its_integrals(feature, seed, scale):
    at, mixed = grid(feature), mixture(feature, seed, scale)
    p = mixed.log_prob(at).exp()
    below, above = mixed.tails(at)
    torch.testing.assert_close(below[1:], torch.cumulative_trapezoid(p, at), atol=1e-3, rtol=0)
    torch.testing.assert_close(below + above, torch.ones_like(at), atol=1e-12, rtol=0)


@each_feature
@FEW
@some
def test_quantiles_undo_tails(feature, seed, scale):
    inner = grid(0, 201)[1:-1]
    mixed = mixture(feature, seed, scale)
    found = mixed.tails(mixed.quantile(inner, 1 - inner))[0]
    torch.testing.assert_close(found, inner, atol=1e-9, rtol=0)


def test_tails_never_turn_back_in_single_precision():
    """Least of all in the gap between two sharp components, where both are almost flat."""
    theta = torch.tensor([0.0, 0.0, -1.0, 1.0, -20.0, -20.0, -3.0, -3.0])
    below, above = Head(torch.tensor([True]), components=2)(theta, 0).tails(torch.linspace(0, 1, 4001))
    assert below.diff().min() >= 0
    assert above.diff().max() <= 0


def test_small_tails_keep_their_precision():
    mixed = mixture(1, seed=0)
    tiny = torch.tensor([1e-200, 1e-30], dtype=torch.float64)
    torch.testing.assert_close(mixed.tails(mixed.quantile(tiny, 1 - tiny))[0], tiny, atol=0, rtol=1e-6)
    torch.testing.assert_close(mixed.tails(mixed.quantile(1 - tiny, tiny))[1], tiny, atol=0, rtol=1e-6)


@each_feature
@pytest.mark.parametrize("seed", range(3))
def test_draws_follow_the_density(feature, seed):
    mixed = mixture(feature, seed, n=20_000)
    draws = mixed.sample(torch.Generator().manual_seed(seed))
    assert stats.kstest(mixed.tails(draws)[0].numpy(), "uniform").pvalue > 1e-3


def test_it_starts_spread_evenly():
    inner = mixture(0, 0, 0.0).log_prob(torch.linspace(0.02, 0.98, 99, dtype=torch.float64)).exp()
    assert float(inner.min()) > 0.6
    assert float(inner.max()) < 1.4
    middle, far = mixture(1, 0, 0.0).log_prob(torch.tensor([0.0, 2.0]).double()).exp().tolist()
    assert middle == pytest.approx(0.35, abs=0.08)
    assert 0.02 < far < 0.1


def test_a_plateau_is_a_blurred_uniform():
    """With edges as narrow as can be: flat inside, nothing outside."""
    head = Head(torch.tensor([False]), components=1, narrowest=1e-5).double()
    mixed = head(torch.tensor([[0.0, 0.0, -50.0, 50.0]]).double(), 0)
    width = float(mixed.breadth * mixed.log_scale.exp())
    inside, outside = torch.tensor([-0.45, 0.0, 0.45]) * width, torch.tensor([-0.55, 0.55]) * width
    torch.testing.assert_close(
        mixed.log_prob(inside.double()).exp(), torch.full((3,), 1 / width).double(), atol=0, rtol=1e-5
    )
    assert bool((mixed.log_prob(outside.double()) < -5).all())


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 1))
def test_in_single_precision_extremes_stay_finite(centre, scale, breadth, place):
    head = Head(torch.tensor([True, False]), components=2)
    raw = [0.0, 0.0, centre, -centre, scale, -scale, breadth, -breadth]
    theta = torch.tensor([raw, raw], requires_grad=True)
    z = torch.tensor([[place, centre]]).clamp(1e-7, 1 - 1e-7)
    log_prob = head(theta).log_prob(z)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert theta.grad is not None
    assert theta.grad.isfinite().all()
    draws = head(theta[0].detach().expand(100, -1), 0).sample(torch.Generator().manual_seed(0))
    assert bool(((draws > 0) & (draws < 1)).all())
