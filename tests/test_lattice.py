"""Spreading a lattice over its cells, and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.bases import StandardNormal
from flows.core import Spec
from flows.lattice import OnLattice, dequantise, log_cell, quantise

MIXED = Spec(
    names=("pixel", "free", "count"),
    shape=(3,),
    support=((0.0, 1.0), None, None),
    quantum=(1 / 300, None, 1.0),
)


def points(n: int = 5000, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    pixel = torch.randint(300, (n,), generator=generator).to(dtype) / 300
    count = torch.randint(-40, 1000, (n,), generator=generator).to(dtype)
    return torch.stack((pixel, torch.randn(n, generator=generator).to(dtype), count), -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_spread_comes_back(dtype):
    x = points(dtype=dtype)
    spread = dequantise(x, MIXED, torch.Generator().manual_seed(1))
    torch.testing.assert_close(quantise(spread, MIXED), x)
    torch.testing.assert_close(quantise(x, MIXED), x)


@given(st.integers(2, 5000), st.integers(0, 2**31))
def test_any_picture_comes_back(width, seed):
    spec = Spec(("x",), (1,), support=((0.0, 1.0),), quantum=(1 / width,))
    x = (torch.arange(width, dtype=torch.float32) / width).unsqueeze(-1)
    spread = dequantise(x, spec, torch.Generator().manual_seed(seed))
    assert bool(((spread > 0) & (spread < 1)).all())
    torch.testing.assert_close(quantise(spread, spec), x, atol=1e-6, rtol=1e-6)


def test_cells_are_filled_evenly_and_what_has_none_is_left():
    x = points()
    spread = dequantise(x, MIXED, torch.Generator().manual_seed(1))
    u = (spread - x)[:, [0, 2]] * torch.tensor([300.0, 1.0])
    for place in (0.1, 0.25, 0.5, 0.75, 0.9):
        torch.testing.assert_close(
            u.double().quantile(place, 0), torch.full((2,), place).double(), atol=0.025, rtol=0
        )
    assert torch.equal(spread[:, 1], x[:, 1])


def test_draws_beyond_the_ends_come_to_the_last_point():
    x = torch.tensor([[-0.2, -7.3, -7.3], [1.2, 9.9, 9.9]])
    torch.testing.assert_close(quantise(x, MIXED), torch.tensor([[0.0, -7.3, -8.0], [299 / 300, 9.9, 9.0]]))


def test_a_generator_fixes_the_spread_and_each_call_differs():
    x = points(10)
    one, other = (dequantise(x, MIXED, torch.Generator().manual_seed(seed)) for seed in (1, 1))
    assert torch.equal(one, other)
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(dequantise(x, MIXED, generator), dequantise(x, MIXED, generator))


def test_without_a_lattice_nothing_happens():
    x, spec = points(10), Spec(("a", "b", "c"), (3,))
    assert dequantise(x, spec) is x
    assert quantise(x, spec) is x
    assert log_cell(spec) is None


def test_the_volume_of_a_cell():
    assert log_cell(MIXED) is None  # one feature has no cell
    assert log_cell(Spec(("a", "b"), (2,), quantum=(0.5, 0.25))) == pytest.approx(math.log(0.125))


def test_a_density_on_the_lattice_draws_there():
    spec = Spec(("a", "b"), (2,), quantum=(0.5, None))
    raw = StandardNormal((2,))
    density = OnLattice(raw, spec)
    draws, plain = (d.sample(100, None, torch.Generator().manual_seed(0)) for d in (density, raw))
    assert torch.equal(draws[:, 0], (plain[:, 0] / 0.5).floor() * 0.5)
    assert torch.equal(draws[:, 1], plain[:, 1])
    middles = torch.stack((draws[:, 0] + 0.25, draws[:, 1]), 1)
    assert torch.equal(density.log_prob(draws), raw.log_prob(middles))
    assert torch.equal(density.log_prob(plain), raw.log_prob(middles))


def test_a_density_on_the_lattice_is_zero_beyond_it():
    spec = Spec(("a",), (1,), quantum=(0.5,), support=((0.0, 1.0),))
    density = OnLattice(StandardNormal((1,)), spec)
    inside = density.log_prob(torch.tensor([[-0.1], [0.0], [0.5], [1.0]])).isfinite()
    assert inside.tolist() == [False, True, True, False]


@pytest.mark.parametrize(("support", "expected"), [((2.0, None), [2, 7]), ((None, 5.0), [-3, 4])])
def test_a_lattice_with_one_end_goes_on_at_the_other(support, expected):
    spec = Spec(("a",), (1,), quantum=(1.0,), support=(support,))
    assert quantise(torch.tensor([[-2.5], [7.5]]), spec)[:, 0].tolist() == expected
