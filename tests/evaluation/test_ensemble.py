"""Scores of ensembles of fields, against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from flows.evaluation.metrics.ensemble import (
    crps,
    energy_score,
    rank_p,
    ranks,
    spectral_distance,
    spectrum,
    spread_skill,
)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_crps_is_the_fair_one_by_its_definition():
    x, members = normal(20, 2, 3, 4), normal(20, 6, 2, 3, 4, seed=1)
    error = (members - x.unsqueeze(1)).abs().mean(1)
    apart = (members.unsqueeze(1) - members.unsqueeze(2)).abs().sum((1, 2)) / (6 * 5)
    torch.testing.assert_close(crps(members, x), error - apart / 2)


def test_crps_of_normals_is_the_known_one():
    found = crps(normal(2000, 20, 1, 2, 2, seed=1), normal(2000, 1, 2, 2)).mean()
    assert float(found) == pytest.approx(1 / math.sqrt(math.pi), rel=0.03)


def test_energy_score_is_the_fair_one_by_its_definition():
    x, members = normal(20, 2, 3, 4), normal(20, 6, 2, 3, 4, seed=1)
    flat = members.flatten(2)
    error = (flat - x.flatten(1).unsqueeze(1)).norm(dim=-1).mean(1)
    apart = (flat.unsqueeze(1) - flat.unsqueeze(2)).norm(dim=-1).sum((1, 2)) / (6 * 5)
    torch.testing.assert_close(energy_score(members, x), (error - apart / 2) / math.sqrt(24))


@pytest.mark.parametrize("members", [3, 50])
def test_spread_meets_skill_where_members_and_truth_are_exchangeable(members):
    signal = 3 * normal(4000, 1, 2, 2, seed=2)
    ensemble = signal.unsqueeze(1) + normal(4000, members, 1, 2, 2, seed=1)
    assert spread_skill(ensemble, signal + normal(4000, 1, 2, 2)) == pytest.approx(1, abs=0.03)
    assert spread_skill(ensemble, signal + 2 * normal(4000, 1, 2, 2)) < 0.8


def test_ranks_are_even_where_exchangeable_and_uneven_where_not():
    generator = torch.Generator().manual_seed(0)
    signal, noise = 3 * normal(500, 1, 3, 3, seed=2), normal(500, 20, 1, 3, 3, seed=1)
    x = signal + normal(500, 1, 3, 3)
    fair = ranks(signal.unsqueeze(1) + noise, x, generator)
    assert int(fair.min()) >= 0
    assert int(fair.max()) <= 20
    assert rank_p(fair, 20) > 0.01
    assert rank_p(ranks(signal.unsqueeze(1) + 0.5 * noise, x, generator), 20) < 1e-6
    assert rank_p(ranks(signal.unsqueeze(1) + noise + 0.5, x, generator), 20) < 1e-6


def test_chances_of_fair_ranks_are_even():
    """The χ² test has its level, with bins of unequal width too."""
    generator = torch.Generator().manual_seed(0)
    found = [rank_p(torch.randint(0, 51, (200,), generator=generator), 50) for _ in range(400)]
    small = sum(p < 0.1 for p in found) / len(found)
    assert 0.05 < small < 0.15


@pytest.mark.parametrize("size", [(16, 16), (15, 24)])
def test_the_spectrum_is_flat_for_noise_and_finds_a_wave(size):
    white = spectrum(normal(400, 1, *size))
    torch.testing.assert_close(white, torch.ones_like(white), atol=0.1, rtol=0)
    shorter = min(size)
    axis = 0 if size[0] == shorter else 1
    place = torch.arange(shorter, dtype=torch.float64) * 2 * math.pi * 3 / shorter
    wave = place.cos().unsqueeze(1 - axis).expand(size)
    assert int(spectrum(wave).argmax()) == 2  # three waves per field; the first is one


def test_decibels():
    one = torch.tensor([1.0, 2.0, 4.0])
    assert spectral_distance(10 * one, one) == pytest.approx(10)
    assert spectral_distance(one, one) == 0
