"""Every model of vectors, where features have one end or two: a density there, and nothing beyond."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import Tensor

from flows.core import Batch, Density, Spec

SUPPORT = ((-1.0, None), (None, 4.0))
MIXED = ((0.0, None), (-1.0, 1.0), None)
CELLS = 320


def examples(support: tuple, n: int = 400) -> Tensor:
    """Points (n, D) at distances from their end that vary by orders of magnitude."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, len(support), generator=generator, dtype=torch.float64)
    columns = []
    for k, ends in enumerate(support):
        low, high = ends or (None, None)
        if low is not None and high is not None:
            columns.append(low + (high - low) * z[:, k].sigmoid())
        elif low is not None:
            columns.append(low + z[:, k].exp())
        else:
            columns.append(z[:, k] if high is None else high - 3 * z[:, k].exp())
    return torch.stack(columns, 1)


def model(name: str, support: tuple) -> Density:
    spec = Spec(names=tuple("abc"[: len(support)]), shape=(len(support),), support=support)
    density = zoo.built_for(spec, name)
    with torch.no_grad():
        density.initialise(Batch(examples(support)))
    zoo.perturb(density, 0.1, 0)
    return density.eval()


@pytest.mark.parametrize("name", zoo.MODELS)
def test_with_one_end_each_it_integrates_to_one(name):
    """Over log distances from the ends, in which the density is smooth."""
    t = torch.linspace(-20.0, 14.0, CELLS, dtype=torch.float64)
    x = torch.cartesian_prod(-1 + t.exp(), 4 - t.exp())
    with torch.no_grad():
        log_p = model(name, SUPPORT).log_prob(x).view(CELLS, CELLS) + t + t[:, None]
    total = torch.trapezoid(torch.trapezoid(log_p.exp(), t), t)
    assert float(total) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_beyond_an_end_there_is_nothing_and_on_it_all_is_finite(name):
    density = model(name, SUPPORT).float()
    log_p = density.log_prob(torch.tensor([[-1.01, 0.0], [0.0, 4.01], [-1.0, 4.0], [1e6, -1e6]]))
    assert log_p.isneginf().tolist() == [True, True, False, False]
    assert log_p[2:].isfinite().all()


@pytest.mark.parametrize("name", zoo.MODELS)
def test_draws_stay_within_and_have_the_density_that_is_claimed(name):
    density, reference = model(name, SUPPORT), model(name, SUPPORT)
    zoo.perturb(reference, 0.02, 1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = density.sample(4000, generator=generator)
        ratio = (reference.log_prob(x) - density.log_prob(x)).exp()
    assert bool((x[:, 0] >= -1).all() and (x[:, 1] <= 4).all())
    error = float(ratio.std()) / len(x) ** 0.5
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)
    assert error < 0.05


@pytest.mark.parametrize("name", zoo.MODELS)
def test_one_end_two_and_none_go_together(name):
    density, x = model(name, MIXED), examples(MIXED, 50)
    drawn = density.sample(1000, generator=torch.Generator().manual_seed(0))
    assert density.log_prob(x).isfinite().all()
    assert bool((drawn[:, 0] >= 0).all() and (drawn[:, 1].abs() <= 1).all())
    assert bool((drawn[:, 2] < 0).any() and drawn.isfinite().all())
