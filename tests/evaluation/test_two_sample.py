import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from flows.evaluation.metrics import (
    classifier_accuracy,
    discrepancies,
    energy_distance,
    gaussian,
    histogram_kl,
    median_distance,
    mmd,
    pairwise,
    permutation_p,
    precision_recall,
    wasserstein,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, features=2, seed=0, shift=0.0):
    return torch.randn(n, features, generator=generator(seed), dtype=torch.float64) + shift


def test_mmd_of_points_by_hand():
    zero, pair = torch.zeros(1, 1), torch.tensor([[0.0], [2.0]])
    assert mmd(zero, torch.full((1, 1), 3.0), sigma=1.0) == pytest.approx(2 - 2 * math.exp(-4.5))
    within = (1 + math.exp(-2)) / 2
    assert mmd(zero, pair, sigma=1.0) == pytest.approx(1 + within - 2 * within)
    assert mmd(pair, pair, sigma=1.0) == pytest.approx(0)


@pytest.mark.parametrize(("features", "sigma"), [(1, 1.0), (3, 2.0)])
def test_mmd_of_shifted_gaussians_in_closed_form(features, sigma):
    n, shift = 3000, 1.0
    same = (sigma**2 / (sigma**2 + 2)) ** (features / 2)
    apart = same * math.exp(-features * shift**2 / (2 * (sigma**2 + 2)))
    bias = 2 * (1 - same) / n  # each point meets itself
    found = mmd(normal(n, features), normal(n, features, 1, shift), sigma)
    assert found == pytest.approx(2 * same - 2 * apart + bias, rel=0.1)
    least = [mmd(normal(300, features, 2 * k), normal(300, features, 2 * k + 1), sigma) for k in range(40)]
    assert sum(least) / 40 == pytest.approx(2 * (1 - same) / 300, rel=0.2)


def test_blocks_change_nothing(monkeypatch):
    x, y, kernels = normal(301), normal(170, seed=1, shift=0.3), [torch.neg, gaussian(0.7)]
    whole = torch.cdist(x, x), torch.cdist(y, y), torch.cdist(x, y)
    for blocks in (1, 700, 2**17):
        monkeypatch.setattr(pairwise, "AT_ONCE", blocks)
        within_x, within_y, between = ([k(d).mean() for k in kernels] for d in whole)
        expected = [float(a + b - 2 * c) for a, b, c in zip(within_x, within_y, between, strict=True)]
        assert discrepancies(x, y, kernels) == pytest.approx(expected, rel=1e-9)


def test_no_block_is_larger_than_it_may_be(monkeypatch):
    sizes, cdist = [], torch.cdist

    def spy(a, b, **options):
        sizes.append(len(a) * len(b))
        return cdist(a, b, **options)

    monkeypatch.setattr(torch, "cdist", spy)
    mmd(normal(3000), normal(12_000, seed=1), 1.0)
    assert max(sizes) <= max(pairwise.AT_ONCE, pairwise.ROWS * 12_000)
    assert sum(sizes) == 3000**2 + 12_000**2 + 3000 * 12_000
    sizes.clear()
    precision_recall(normal(2000), normal(2000, seed=1))
    permutation_p(normal(1000), normal(1000, seed=1), 1.0, generator(), permutations=1)
    assert max(sizes) <= pairwise.AT_ONCE


@pytest.mark.slow
def test_a_hundred_thousand_points_fit_in_two_gigabytes():
    code = (
        "import resource, torch; from flows.evaluation.metrics import mmd; torch.set_num_threads(1);"
        "x, y = torch.randn(2, 100_000, 5, dtype=torch.float64); assert 0 < mmd(x, y, 1.0) < 1e-4;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(said.stdout) < 2 * 1024**2  # kilobytes


def test_mmd_keeps_its_digits_far_from_zero():
    x = normal(300)
    assert mmd(x + 1e6, x + 1e6 + 1e-3, 1.0) == pytest.approx(mmd(x, x + 1e-3, 1.0), rel=1e-3)


def test_the_median_distance_is_over_pairs_and_never_zero():
    assert median_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])) == 5
    assert median_distance(torch.zeros(4, 2)) == 1


def test_permutation_p_is_uniform_under_one_law():
    ps = [
        permutation_p(normal(40, seed=2 * k), normal(40, seed=2 * k + 1), 1.0, generator(k), permutations=99)
        for k in range(200)
    ]
    assert stats.kstest(ps, "uniform").pvalue > 1e-3
    assert min(ps) >= 0.01


def test_permutation_p_is_as_small_as_can_be_under_a_shift():
    assert permutation_p(normal(200), normal(200, seed=1, shift=0.5), 1.0, generator()) == 1 / 200
    assert permutation_p(normal(200), normal(200), 1.0, generator()) == 1  # nothing lies nearer than itself


def test_permutation_p_orders_its_labels_by_mmd(monkeypatch):
    x, y, g = normal(30), normal(30, seed=1, shift=0.2), generator(5)
    both = torch.cat((x, y))
    orders = [torch.randperm(60, generator=g) for _ in range(50)]
    observed = mmd(x, y, 1.0)
    # `sign[order]` has +1 where order points into x
    above = [mmd(both[order < 30], both[order >= 30], 1.0) >= observed for order in orders]
    monkeypatch.setattr(pairwise, "AT_ONCE", 100)
    assert permutation_p(x, y, 1.0, generator(5), permutations=50) == (1 + sum(above)) / 51


def test_kl_is_that_of_histograms_with_the_real_edges():
    real, drawn = normal(5000), normal(4000, seed=1, shift=0.4)
    for found, p, q in zip(histogram_kl(real, drawn), real.T.numpy(), drawn.T.numpy(), strict=True):
        counts, edges = np.histogram(p, 100)
        others = np.histogram(q, bins=edges)[0]
        a, b = counts / counts.sum() + 1e-10, others / others.sum() + 1e-10
        a, b = a / a.sum(), b / b.sum()
        assert found == pytest.approx((a * np.log(a / b)).sum())
        assert found > 0.05


def test_kl_does_not_see_what_falls_out_of_the_histogram():
    real = normal(1000, 1)
    beyond = torch.full((500, 1), 1e9, dtype=torch.float64)
    assert histogram_kl(real, torch.cat((real, beyond)))[0] == pytest.approx(0, abs=1e-9)
    assert math.isfinite(histogram_kl(real, beyond)[0])
    assert histogram_kl(torch.ones(10, 1), torch.ones(10, 1)) == pytest.approx([0], abs=1e-9)


def test_w1_is_the_shift_and_scipys():
    x = normal(2000)
    assert wasserstein(x, x + torch.tensor([0.25, -3.0])) == pytest.approx([0.25, 3.0])
    y = normal(2000, seed=1).square()
    expected = [stats.wasserstein_distance(a, b) for a, b in zip(x.T.numpy(), y.T.numpy(), strict=True)]
    assert wasserstein(x, y) == pytest.approx(expected)


def test_a_classifier_is_at_chance_between_equals_and_sure_of_strangers():
    same = [
        classifier_accuracy(normal(500, seed=2 * k), normal(500, seed=2 * k + 1), generator())
        for k in range(5)
    ]
    assert sum(same) / 5 == pytest.approx(0.5, abs=0.03)
    assert classifier_accuracy(normal(500), normal(500, seed=1, shift=5.0), generator()) > 0.99
    # the best there is: Φ of half the distance between the means
    shifted = classifier_accuracy(normal(2000, 1), normal(2000, 1, 1, shift=2.0), generator())
    assert shifted == pytest.approx(stats.norm.cdf(1.0), abs=0.03)


def test_a_classifier_sees_what_marginals_hide():
    x = normal(1000)
    diagonal = x[:, :1].expand(-1, 2) + 0.01 * normal(1000, seed=1)
    assert classifier_accuracy(x, diagonal, generator()) > 0.9
    assert max(wasserstein(x, diagonal)) < 0.1


def test_a_classifier_is_seeded():
    x, y = normal(200), normal(200, seed=1)
    assert classifier_accuracy(x, y, generator(1)) == classifier_accuracy(x, y, generator(1))


def test_precision_and_recall_by_hand():
    real = torch.arange(7.0).unsqueeze(1)  # the balls of the ends reach 5, of the middle 3
    drawn = torch.tensor([[-4.9], [-5.1], [3.0], [11.5], [3.1], [3.2]])
    found = precision_recall(real, drawn)
    assert found.precision == pytest.approx(4 / 6)  # all but -5.1 and 11.5
    assert found.recall == 1
    far = precision_recall(real, drawn + 100)
    assert (far.precision, far.recall) == (0, 0)


def test_precision_falls_outside_and_recall_where_something_is_missing():
    real = torch.cat((normal(500), normal(500, seed=1, shift=20.0)))
    one_mode = precision_recall(real, normal(1000, seed=2))
    assert one_mode.precision > 0.95
    assert one_mode.recall == pytest.approx(0.5, abs=0.05)
    astray = precision_recall(real, torch.cat((normal(500, seed=3), normal(500, seed=4, shift=-20.0))))
    assert astray.precision == pytest.approx(0.5, abs=0.05)
    equal = precision_recall(normal(1000), normal(1000, seed=1))
    assert min(equal) > 0.9


def test_energy_distance_and_mmd_share_their_pass():
    x, y = normal(100), normal(80, seed=1)
    assert discrepancies(x, y, [torch.neg, gaussian(2.0)]) == [energy_distance(x, y), mmd(x, y, 2.0)]
