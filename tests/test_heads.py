"""Densities of one number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flows.heads import Gaussians, Head, Splines

MASK = torch.tensor([True, False])
HEADS = {"gaussians": Gaussians(MASK, components=5).double(), "spline": Splines(MASK, bins=5).double()}
each_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def theta(head: Head, seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(2, head.params, generator=generator, dtype=torch.float64)


def grid(feature: int, n: int = 200_001) -> torch.Tensor:
    ends = (0.0, 1.0) if feature == 0 else (-60.0, 60.0)
    return torch.linspace(*ends, n, dtype=torch.float64)


def densities(head: Head, feature: int, at: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    z = torch.full((len(at), 2), 0.5, dtype=torch.float64)
    z[:, feature] = at
    return head.log_prob(z, parameters.expand(len(at), -1, -1))[:, feature].exp()


@each_head
@pytest.mark.parametrize("feature", [0, 1])
@given(st.integers(0, 1000), st.floats(0.0, 2.0))
def test_each_is_a_density(head, feature, seed, scale):
    at = grid(feature)
    total = torch.trapezoid(densities(head, feature, at, theta(head, seed, scale)), at)
    assert float(total) == pytest.approx(1, abs=1e-3)


@each_head
@pytest.mark.parametrize("feature", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_draws_follow_the_density(head, feature, seed):
    parameters = theta(head, seed)
    many = parameters[feature].expand(20_000, -1)
    draws = head.sample(many, feature, torch.Generator().manual_seed(seed))
    at = grid(feature)
    p = densities(head, feature, at, parameters)
    cdf = torch.cumulative_trapezoid(p, at)
    uniform = torch.cat((cdf[:1] * 0, cdf))[torch.searchsorted(at, draws.contiguous()).clamp(max=len(at) - 1)]
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3


@each_head
def test_it_starts_spread_evenly(head):
    zero = torch.zeros(2, head.params, dtype=torch.float64)
    inner = densities(head, 0, torch.linspace(0.02, 0.98, 99, dtype=torch.float64), zero)
    assert float(inner.min()) > 0.6
    assert float(inner.max()) < 1.4
    assert densities(head, 1, torch.tensor([0.0, 2.0]).double(), zero).tolist() == pytest.approx(
        [0.35, 0.07], abs=0.08
    )


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 1))
def test_in_single_precision_extremes_stay_finite(mean, scale, place):
    head = Gaussians(MASK, components=2)
    parameters = torch.tensor([[0.0, 0.0, mean, -mean, scale, -scale]] * 2, requires_grad=True)
    z = torch.tensor([[place, mean]]).clamp(1e-7, 1 - 1e-7)
    log_prob = head.log_prob(z, parameters.unsqueeze(0))
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad is not None
    assert parameters.grad.isfinite().all()
    draws = head.sample(parameters[0].detach().expand(100, -1), 0, torch.Generator().manual_seed(0))
    assert bool(((draws > 0) & (draws < 1)).all())
