import math

import pytest
import torch
from gaussians import Copier, Drawn, gaussian
from scipy import stats

from data.memory import InMemory
from data.xyrgb import xyrgb
from flows.core import Sampler
from flows.evaluation.copying import copying, suspicions
from flows.evaluation.measure import measure
from flows.evaluation.metrics import coincide, copying_z, nearest_distance, nearest_is_train
from flows.lattice import quantise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, features=2, seed=0):
    return torch.randn(n, features, generator=generator(seed), dtype=torch.float64)


def copies(model, data, seed=0, limit=1000):
    """What is measured of copying, and what is said of it."""
    g = generator(seed)
    test, train = (data.source(part).take(slice(None)) for part in ("test", "train"))
    metrics = copying(model, data.truth, data.spec, test, train, train.x.split(700), g, limit)
    return metrics, suspicions(metrics, min(len(test.x), limit))


# The numbers


def test_nearest_distances_are_exact_and_zero_for_copies():
    train = normal(500, 20) + 1e3  # so many features that the search is by brute force
    points = torch.cat((train[:3], normal(50, 20, 1) + 1e3))
    found = nearest_distance(points, train)
    assert found[:3].tolist() == [0, 0, 0]
    exact = torch.cdist(points, train, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
    torch.testing.assert_close(found, exact)


def test_copying_z_is_that_of_mann_and_whitney():
    a, b = normal(80, 1)[:, 0].abs(), normal(60, 1, 1)[:, 0].abs() + 0.3
    z, p = copying_z(a, b), stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic").pvalue
    assert z < 0
    assert 2 * stats.norm.sf(-z) == pytest.approx(p)
    assert copying_z(b, a) == pytest.approx(-z)
    coarse = (4 * a).round(), (4 * b).round()  # full of ties
    p = stats.mannwhitneyu(*coarse, use_continuity=False, method="asymptotic").pvalue
    assert 2 * stats.norm.sf(-copying_z(*coarse)) == pytest.approx(p)
    assert copying_z(torch.zeros(9), torch.zeros(9)) == 0


def test_copying_z_is_standard_normal_under_one_law():
    zs = [copying_z(normal(50, 1, 2 * k)[:, 0], normal(50, 1, 2 * k + 1)[:, 0]) for k in range(300)]
    assert stats.kstest(zs, "norm").pvalue > 1e-3


def test_coincidences_are_counted_in_float32():
    train = torch.tensor([[0.1, 0.2], [0.3, 0.4]]).double()
    points = torch.tensor([[0.3, 0.4], [0.1, 0.4], [0.1 + 1e-12, 0.2], [0.1 + 1e-6, 0.2]]).double()
    assert coincide(points, [train]).tolist() == [True, False, True, False]
    assert coincide(points, train.split(1)).tolist() == [True, False, True, False]


def test_the_share_of_training_neighbours_by_hand():
    train, heldout = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[5.0], [9.0]])
    drawn = torch.tensor([[0.1], [0.2], [5.1], [8.0]])
    share = nearest_is_train(drawn, train, heldout)
    assert share.value == pytest.approx((2 + 0.5) / 4)  # both real points at 5 share their draw
    assert share.floor == pytest.approx(3 / 5)


def test_the_share_of_training_neighbours_and_its_spread_are_those_of_random_exchanges():
    real, drawn = (2 * normal(60, 1)).round(), 0.5 * normal(200, 1, 1)  # many ties, and a bad model
    g, shares = generator(), []
    for _ in range(400):
        order = torch.randperm(60, generator=g)
        shares.append(nearest_is_train(drawn, real[order[:40]], real[order[40:]]))
    values = torch.tensor([share.value for share in shares])
    assert values.mean().item() == pytest.approx(40 / 60, abs=0.02)
    expected = (shares[0].floor_99 - shares[0].floor) / 2.326
    assert values.std().item() == pytest.approx(expected, rel=0.1)
    assert len({round(share.floor_99, 9) for share in shares}) == 1


# The verdict


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("known", [True, False])
def test_a_copier_is_flagged(noise, known):
    data = Drawn(gaussian(), n=2000, known=known)
    metrics, warnings = copies(Copier(data, noise), data)
    assert warnings
    assert metrics["memorisation_z"] < metrics["memorisation_z_floor_low"] - 10
    assert metrics["nearest_train"] > 0.9
    assert metrics["copied"] == (1 if noise == 0 else 0)
    assert metrics["copied_floor"] == 0
    if noise == 0:
        assert any(line.startswith("copied") for line in warnings)


def test_a_model_that_copies_now_and_then_is_flagged():
    data = Drawn(gaussian(), n=2000)
    assert copies(Copier(data, share=0.3), data)[1]
    assert copies(Copier(data, 1e-3, share=0.3), data)[1]


def test_few_points_are_enough():
    data = Drawn(gaussian(8), features=8, n=150, known=False)
    assert copies(Copier(data, 1e-3), data)[1]


def test_a_copier_is_flagged_in_single_precision():
    data = Drawn(gaussian(), n=1000)
    copier = Copier(data)
    copier.x = copier.x.float()
    metrics, warnings = copies(copier, data)
    assert metrics["copied"] == 1
    assert len(warnings) == 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("known", [True, False])
def test_the_truth_is_acquitted(seed, known):
    data = Drawn(gaussian(3), features=3, n=600, known=known)
    metrics, warnings = copies(gaussian(3), data, seed, limit=400)
    assert warnings == []
    low, high = (metrics[f"memorisation_z_floor_{end}"] for end in ("low", "high"))
    assert low < high
    assert low - 2 < metrics["memorisation_z"] < high + 2


@pytest.mark.parametrize("model", [gaussian(std=0.3), gaussian(std=1e-6), gaussian(std=3.0)])
def test_a_bad_model_is_no_copier(model):
    metrics, warnings = copies(model, Drawn(gaussian()))
    assert warnings == []
    if model.transform.std == 0.3:
        assert metrics["memorisation_z"] < -10  # it crowds where training points are dense


class Pixels(Sampler):
    """Training pixels, as a sampler gives them: somewhere in their cells."""

    def __init__(self, dataset, part):
        super().__init__()
        self.x, self.step = dataset.source(part).x, torch.tensor(dataset.spec.quantum)

    def sample(self, n, context=None, generator=None):
        rows = torch.randint(len(self.x), (n,), generator=generator)
        return self.x[rows] + self.step * torch.rand(n, 5, generator=generator, dtype=torch.float64)


def test_on_a_lattice_a_copier_is_flagged_and_the_truth_is_not():
    data = xyrgb(n=2000)
    metrics, warnings = copies(Pixels(data, "train"), data)
    assert metrics["copied"] == 1
    assert len(warnings) == 2
    for seed in range(3):
        assert copies(data.truth, data, seed)[1] == []


def test_on_a_coarse_lattice_points_coincide_and_nobody_is_accused():
    data = Drawn(gaussian(), n=1000)
    data.spec = data.spec._replace(quantum=(0.2, 0.2))
    data._sources = {part: InMemory(quantise(source.x, data.spec)) for part, source in data._sources.items()}
    metrics, warnings = copies(gaussian(), data)
    assert warnings == []
    assert 0.6 < metrics["copied_floor"] < 0.95
    assert metrics["copied"] == pytest.approx(metrics["copied_floor"], abs=0.1)
    metrics, warnings = copies(gaussian(std=0.05), data)  # all in a few cells, each with a training point
    assert metrics["copied"] > 0.95
    assert warnings == []


def test_where_some_points_recur_by_chance_a_copier_is_flagged_all_the_same():
    data = Drawn(gaussian(), n=1000)
    data.spec = data.spec._replace(quantum=(0.03, 0.03))
    data._sources = {part: InMemory(quantise(source.x, data.spec)) for part, source in data._sources.items()}
    metrics, warnings = copies(Copier(data), data)
    assert 0.02 < metrics["copied_floor"] < 0.25
    assert any(line.startswith("copied") for line in warnings)
    for model in (gaussian(), gaussian(std=0.5)):  # the latter keeps to where points recur most
        assert copies(model, data)[1] == []


def continuous_contexts(known=False, std=1.0):
    law = gaussian(shift=1.0, std=std)
    data = Drawn(law, labels=True, known=known)
    for seed, (part, source) in enumerate(data._sources.items()):
        context = normal(len(source), 1, seed + 7)
        data._sources[part] = InMemory(law.sample(1, context, generator(seed))[0], context)
    return data


def test_contexts_that_say_it_all_favour_neither_part():
    data = continuous_contexts(std=1e-4)  # a draw lies closest to the point whose context it has
    metrics, _ = copies(data.law, data)
    spread = (metrics["nearest_train_floor_99"] - metrics["nearest_train_floor"]) / 2.326
    assert abs(metrics["nearest_train"] - metrics["nearest_train_floor"]) < 4 * spread
    low, high = (metrics[f"memorisation_z_floor_{end}"] for end in ("low", "high"))
    assert low - 2 < metrics["memorisation_z"] < high + 2


@pytest.mark.parametrize("known", [True, False])
def test_with_contexts_a_copier_is_flagged_and_the_truth_is_not(known):
    data = continuous_contexts(known)
    metrics, warnings = copies(Copier(data), data)
    assert metrics["copied"] == 1
    assert len(warnings) == 2
    for seed in range(3):
        metrics, warnings = copies(gaussian(shift=1.0), data, seed)
        assert warnings == []
        low, high = (metrics[f"memorisation_z_floor_{end}"] for end in ("low", "high"))
        assert low - 2 < metrics["memorisation_z"] < high + 2


def test_a_copier_is_flagged_however_few_points_are_judged():
    data = Drawn(gaussian(), n=4000, known=False)
    metrics, warnings = measure(Copier(data), data, points=100)
    assert metrics["test_points"] == 100
    assert metrics["copied"] == 1
    assert metrics["nearest_train"] == pytest.approx(1)
    assert [line.partition(" ")[0] for line in warnings] == ["copied"]


def test_measure_tells_of_copying_and_says_nothing_without_training_points():
    data = Drawn(gaussian(), n=500, known=False)
    metrics, warnings = measure(Copier(data), data, pairs=200)
    assert {"memorisation_z", "nearest_train", "copied"} <= metrics.keys()
    assert [line.partition(" ")[0] for line in warnings] == ["nearest_train", "copied"]
    metrics, warnings = measure(gaussian(), Drawn(gaussian(), n=500, parts=("test",)), pairs=200)
    assert not {"memorisation_z", "nearest_train", "copied"} & metrics.keys()
    assert math.isfinite(metrics["c2st"])
    assert warnings == []
