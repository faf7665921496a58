"""Rational-quadratic splines."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.transforms import Spline

LOW, HIGH = torch.tensor([0.0, -3.0]).double(), torch.tensor([1.0, 3.0]).double()
SPLINE = Spline(torch.tensor([True, False]), bins=6, reach=3.0).double()


def theta(n: int, seed: int = 0, scale: float = 1.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    one = scale * torch.randn(1, 2 * SPLINE.params, generator=generator, dtype=torch.float64)
    return one.expand(n, -1)


def line(n: int = 4001) -> torch.Tensor:
    unit = torch.linspace(0, 1, n + 2, dtype=torch.float64)[1:-1, None]
    return LOW + (HIGH - LOW) * unit


@given(st.integers(0, 500), st.floats(0.0, 5.0))
def test_monotone_onto_its_interval_and_back(seed, scale):
    x = line()
    z, log_slope = SPLINE.forward(x, theta(len(x), seed, scale))
    assert (z.diff(dim=0) > 0).all()
    assert bool(((z > LOW) & (z < HIGH)).all())
    back, log_slope_back = SPLINE.inverse(z, theta(len(x), seed, scale))
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(log_slope_back, -log_slope, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_slopes_are_autodiffs(direction):
    x = line(101).requires_grad_()
    z, log_slope = getattr(SPLINE, direction)(x, theta(len(x)))
    (slope,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(log_slope, slope.log(), atol=1e-9, rtol=1e-9)


def test_beyond_its_interval_it_is_the_identity_and_joins_smoothly():
    x = torch.tensor([[0.5, -4.0], [0.5, 5.0]]).double()
    z, log_slope = SPLINE.forward(x, theta(2))
    assert torch.equal(z[:, 1], x[:, 1])
    assert log_slope[:, 1].tolist() == [0, 0]
    ends = torch.tensor([[0.5, -3 + 1e-7], [0.5, 3 - 1e-7]]).double()
    torch.testing.assert_close(
        SPLINE.forward(ends, theta(2))[1][:, 1], torch.zeros(2).double(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_rounding_carries_nothing_out_of_a_closed_interval(direction):
    """Of single precision, where the last piece is narrow and steep, or low and flat."""
    spline = Spline(torch.tensor([True]), bins=16)
    near = 1 - torch.logspace(-6.92, -4, 4000).unsqueeze(-1)
    theta = torch.zeros(2 * 16 + 17)
    theta[15], theta[31] = (8.0, -8.0) if direction == "inverse" else (-8.0, 8.0)
    found, _ = getattr(spline, direction)(near, theta.expand(len(near), -1))
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_a_closed_end_may_have_any_slope():
    near = torch.tensor([[1e-9, 0.0]]).double()
    slopes = {round(float(SPLINE.forward(near, theta(1, seed))[1][0, 0]), 3) for seed in range(5)}
    assert len(slopes) == 5


def test_it_starts_as_the_identity():
    x = line(101)
    z, log_slope = SPLINE.forward(x, theta(len(x), scale=0.0))
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=1e-9, rtol=0)
