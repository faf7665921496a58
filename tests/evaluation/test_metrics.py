import math
from pathlib import Path

import pytest
import torch
from gaussians import Wrong, gaussian
from scipy import stats

from data import toys
from data.mixture import Mixture
from data.shapes import Gaussians
from flows.evaluation.metrics import (
    bootstrap,
    energy_distance,
    gaussian_distance,
    sample_chi2,
    truth_ratio,
)

ROOT = Path(__file__).parents[2]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    draws = generator()
    covered = 0
    for _ in range(200):
        interval = bootstrap(torch.randn(200, generator=draws) + 3, draws, resamples=200)
        covered += interval.low <= 3 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_bootstrap_narrows_with_the_root_of_n():
    few, many = (bootstrap(torch.randn(n, generator=generator()), generator()) for n in (1_000, 100_000))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.2)
    assert many.high - many.low == pytest.approx(2 * 1.96 / math.sqrt(100_000), rel=0.15)


def test_bootstrap_is_seeded_and_leaves_global_randomness_alone():
    values, state = torch.randn(100, generator=generator()), torch.get_rng_state()
    assert bootstrap(values, generator(1)) == bootstrap(values, generator(1))
    assert bootstrap(values, generator(1)) != bootstrap(values, generator(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_bootstrap_says_nothing_of_what_is_not_finite():
    interval = bootstrap(torch.tensor([1.0, math.inf]), generator())
    assert interval.mean == math.inf
    assert math.isnan(interval.low)


def test_energy_distance_of_points_by_hand():
    zero, pair = torch.zeros(1, 1), torch.tensor([[0.0], [2.0]])
    assert energy_distance(zero, torch.tensor([[3.0]])) == 6
    assert energy_distance(zero, pair) == 1
    assert energy_distance(pair, pair) == 0


def test_energy_distance_is_scipys_squared_over_several_blocks():
    x, y = torch.randn(3000, 1, generator=generator()), 1.5 * torch.randn(2500, 1, generator=generator(1))
    expected = stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-5)


def test_energy_distance_of_gaussians_in_closed_form():
    x, y = torch.randn(4000, 1, generator=generator()), 2 * torch.randn(4000, 1, generator=generator(1))
    expected = 2 * math.sqrt(2 / math.pi) * math.sqrt(5) - 2 / math.sqrt(math.pi) * (1 + 2)
    assert energy_distance(x, y) == pytest.approx(expected, rel=0.15)


def test_energy_distance_keeps_its_digits_far_from_zero():
    x = torch.randn(500, 2, generator=generator()).double()
    assert energy_distance(x + 1e6, x + 1e6 + 1e-3) == pytest.approx(energy_distance(x, x + 1e-3), rel=1e-3)


def test_the_floor_is_what_equal_distributions_score():
    g = generator()
    found = [gaussian_distance(torch.randn(300, 2, generator=g).double(), g) for _ in range(40)]
    distances, floors = torch.tensor(found).T
    assert floors.min() > 0
    assert distances.median().item() == pytest.approx(floors.mean().item(), rel=0.4)


@pytest.mark.parametrize(("std", "seen"), [(1.0, False), (1.2, True), (0.8, True)])
def test_a_wrong_base_variance_shows_in_the_latent(std, seen):
    distance, least = gaussian_distance(std * torch.randn(2000, 2, generator=generator(5)), generator())
    assert (distance > 4 * least) == seen


@pytest.mark.parametrize("features", [1, 2])
def test_chi2_is_calibrated_where_draws_and_density_agree(features):
    model = gaussian(features, mean=3.0, std=0.2)
    ps = torch.tensor([sample_chi2(model, None, generator(seed), n=2000).p for seed in range(40)])
    assert 0.35 < ps.mean() < 0.65
    assert (ps < 0.1).double().mean() < 0.25
    assert ps.min() > 1e-3


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(gaussian(std=1.0), gaussian(std=1.1)),
        Wrong(gaussian(), gaussian(mean=0.1)),
        Wrong(gaussian(), gaussian(), offset=0.5),  # a dropped ladj: the density integrates to 1.65
        Wrong(gaussian(), gaussian(), offset=-0.5),
    ],
    ids=["variance", "mean", "ladj too large", "ladj too small"],
)
def test_chi2_flags_a_sampler_that_disagrees_with_its_density(wrong):
    assert sample_chi2(wrong, None, generator()).p < 1e-6


PLANE = [path.stem for path in sorted((ROOT / "conf" / "dataset").glob("*.yaml")) if hasattr(toys, path.stem)]


@pytest.mark.parametrize("name", PLANE)
def test_chi2_acquits_the_truth_of_every_dataset_in_the_plane(name):
    truth = getattr(toys, name)(n_train=10, n_val=10, n_test=10).truth
    assert sample_chi2(truth, None, generator()).p > 1e-4


def grid(noise):
    return toys.gaussian_grid(n_train=10, n_val=10, n_test=10, noise=noise).truth


def test_chi2_judges_modes_that_are_narrow_beside_its_cells():
    right, wrong = sample_chi2(grid(0.02), None, generator()), Wrong(grid(0.024), grid(0.02))
    assert right.degrees > 20  # most modes are told apart
    assert right.p > 1e-4
    assert sample_chi2(wrong, None, generator()).p < 1e-6


def test_chi2_does_not_accuse_where_modes_are_too_narrow_to_judge():
    assert not sample_chi2(grid(0.005), None, generator()).p < 1e-4


def test_chi2_joins_the_cells_that_no_quadrature_knows(monkeypatch):
    known = sample_chi2(grid(0.02), None, generator())
    monkeypatch.setattr("flows.evaluation.metrics.agreement.NODES", (8, 12))
    joined = sample_chi2(grid(0.02), None, generator())
    assert joined.degrees < known.degrees
    assert joined.p > 1e-4


def test_chi2_under_contexts():
    contexts = torch.tensor([[0.0], [1.0]]).double()
    right, wrong = gaussian(shift=3.0), Wrong(gaussian(shift=3.0), gaussian(shift=2.8))
    assert sample_chi2(right, contexts, generator()).p > 1e-3
    assert sample_chi2(wrong, contexts, generator()).p < 1e-6
    assert sample_chi2(wrong, contexts[:1], generator()).p > 1e-3  # it is wrong under the other alone


def test_chi2_survives_draws_that_are_not_finite():
    lost = Wrong(gaussian(mean=math.nan), gaussian())
    assert sample_chi2(lost, None, generator()).p == 0


def test_truth_ratio_is_one_where_nothing_is_missed():
    model, truth = gaussian(std=1.2), gaussian()
    ratio = truth_ratio(model, truth, None, generator())
    assert ratio.low <= 1 <= ratio.high
    assert ratio.high - ratio.low < 0.05


def test_truth_ratio_draws_under_each_context_until_it_is_sure():
    """Few contexts, however many draws they are given, must not leave the mean in doubt."""
    model, truth = gaussian(std=1.2, shift=3.0), gaussian(shift=3.0)
    ratio = truth_ratio(model, truth, torch.tensor([[0.0], [1.0], [2.0]]), generator(), 6000)
    assert ratio.low <= 1 <= ratio.high
    assert ratio.high - ratio.low < 0.08


def test_truth_ratio_is_the_mass_that_is_covered():
    near, far = (Gaussians(torch.tensor([[centre, 0.0]]), 1.0) for centre in (0.0, 50.0))
    ratio = truth_ratio(Mixture([near]), Mixture([near, far]), None, generator())
    assert ratio.mean == pytest.approx(0.5, abs=0.01)


def test_truth_ratio_flags_a_sampler_that_disagrees_with_its_density():
    ratio = truth_ratio(Wrong(gaussian(std=0.8), gaussian(std=1.2)), gaussian(), None, generator())
    assert not ratio.low <= 1 <= ratio.high
