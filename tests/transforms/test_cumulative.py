"""Distribution functions as bijections."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.heads import Head
from flows.transforms import Cumulative

BOUNDED = torch.tensor([True, False])
CUMULATIVE = Cumulative(Head(BOUNDED, components=5)).double()


def theta(n: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    one = scale * torch.randn(1, 2 * CUMULATIVE.params, generator=generator, dtype=torch.float64)
    return one.expand(n, -1)


def line(n: int = 501) -> torch.Tensor:
    unit = torch.linspace(0, 1, n + 2, dtype=torch.float64)[1:-1, None]
    return torch.cat((unit, 6 * unit - 3), -1)


@given(st.integers(0, 500), st.floats(0.0, 2.0))
def test_monotone_and_back(seed, scale):
    x = line()
    z, log_slope = CUMULATIVE.forward(x, theta(len(x), seed, scale))
    assert (z.diff(dim=0) > 0).all()
    back, log_slope_back = CUMULATIVE.inverse(z, theta(len(x), seed, scale))
    again, _ = CUMULATIVE.forward(back, theta(len(x), seed, scale))
    torch.testing.assert_close(again, z, atol=1e-7, rtol=1e-7)
    steep = log_slope > -6  # where it is almost flat, x is hardly known from z
    torch.testing.assert_close(back[steep], x[steep], atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(log_slope_back[steep], -log_slope[steep], atol=1e-5, rtol=1e-5)


def test_between_two_far_components_there_is_a_number_in_single_precision():
    """Where almost no mass lies, which a draw can meet; one feature without a number would spoil its row."""
    cumulative = Cumulative(Head(torch.tensor([True]), components=2))
    sharp = torch.tensor([0.0, 0.0, -1.0, 1.0, -20.0, -20.0, -3.0, -3.0])
    z = torch.linspace(-4e-5, 4e-5, 8001).unsqueeze(-1)
    x, log_slope = cumulative.inverse(z, sharp.expand(len(z), -1))
    assert x.isfinite().all()
    assert log_slope.isfinite().all()


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_slopes_are_autodiffs(direction):
    x = line(101).requires_grad_()
    z, log_slope = getattr(CUMULATIVE, direction)(x, theta(len(x)))
    (slope,) = torch.autograd.grad(z.sum(), x)
    torch.testing.assert_close(log_slope, slope.log(), atol=1e-8, rtol=1e-8)


def test_the_inverse_has_the_gradient_of_the_implicit_function():
    z = torch.tensor([[0.3, -0.4]]).double()
    parameters = theta(1).clone().requires_grad_()
    (ours,) = torch.autograd.grad(CUMULATIVE.inverse(z, parameters)[0].sum(), parameters)
    step = 1e-5 * torch.randn(parameters.shape, generator=torch.Generator().manual_seed(0)).double()
    up, down = (CUMULATIVE.inverse(z, parameters.detach() + s * step)[0].sum() for s in (1, -1))
    assert float((ours * step).sum()) == pytest.approx(float(up - down) / 2, rel=1e-5)


def test_one_feature_alone_is_the_same():
    x, parameters = line(7), theta(7)
    z, _ = CUMULATIVE.forward(x, parameters)
    for feature in (0, 1):
        one = slice(feature, feature + 1)
        alone = parameters.unflatten(-1, (CUMULATIVE.params, -1))[..., one].flatten(-2)
        torch.testing.assert_close(CUMULATIVE.forward(x[:, one], alone, one)[0], z[:, one])
        torch.testing.assert_close(CUMULATIVE.inverse(z[:, one], alone, one)[0], x[:, one])


def test_far_out_the_density_is_right_though_the_latent_saturates():
    x = torch.tensor([[0.5, 1e4]])
    cumulative = Cumulative(Head(BOUNDED, components=5))
    z, log_slope = cumulative.forward(x, theta(1).float())
    assert bool(z.isfinite().all())
    log_prob = torch.distributions.Normal(0.0, 1.0).log_prob(z) + log_slope
    mixture = cumulative.head(theta(1).float().unflatten(-1, (cumulative.params, -1)).transpose(-1, -2))
    torch.testing.assert_close(log_prob, mixture.log_prob(x), atol=1e-4, rtol=1e-4)
