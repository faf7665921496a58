import math
import re
from itertools import permutations

import hasty
import pytest
import torch
from gaussians import Copier, Drawn, Wrong, gaussian

from data.grf import grf
from data.memory import InMemory
from flows.bases import StandardNormal
from flows.core import AnySubset, Density, Spec
from flows.errors import UserError
from flows.evaluation.meaning import MEANINGS, meaning, rows, text
from flows.evaluation.measure import measure

FIELDS = grf(height=8, width=8, n_train=40, n_test=30)
KL = math.log(1.5) + (1 + 0.3**2) / (2 * 1.5**2) - 0.5  # of N(0, 1) from N(0.3, 1.5²), each feature


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    hasty.hurry(monkeypatch)


def test_kl_between_gaussians_in_closed_form():
    metrics, warnings = measure(gaussian(mean=0.3, std=1.5), Drawn(gaussian(), n=20_000), pairs=500)
    assert metrics["kl_to_truth_low"] <= 2 * KL <= metrics["kl_to_truth_high"]
    assert metrics["kl_to_truth_high"] - metrics["kl_to_truth_low"] < 0.03
    entropy = 1 + math.log(2 * math.pi)
    assert metrics["nll_floor"] == pytest.approx(entropy, abs=0.03)
    assert metrics["nll"] == pytest.approx(entropy + 2 * KL, abs=0.03)
    assert metrics["nll_low"] < metrics["nll"] < metrics["nll_high"]
    assert warnings == []


def test_a_perfect_model_scores_its_floors():
    metrics, warnings = measure(gaussian(mean=5, std=0.1), Drawn(gaussian(mean=5, std=0.1)), pairs=1000)
    assert metrics["kl_to_truth"] == pytest.approx(0, abs=1e-12)
    assert metrics["nll"] == pytest.approx(metrics["nll_floor"])
    for name in ("latent", "sample"):
        assert metrics[f"{name}_energy_distance"] < 4 * metrics[f"{name}_energy_distance_floor"]
    assert metrics["sample_chi2_p"] > 1e-3
    assert metrics["truth_ratio"] == pytest.approx(1)
    assert warnings == []


def test_a_model_below_the_floor_is_called_a_bug():
    truth = gaussian()
    data = Drawn(truth)
    data.truth = gaussian(std=1.5)  # KL against the wrong truth
    metrics, warnings = measure(gaussian(), data, pairs=200)
    assert metrics["kl_to_truth_high"] < 0
    assert any("significantly below 0" in line for line in warnings)


def test_a_claimed_likelihood_that_is_too_high_is_called_a_bug():
    _, warnings = measure(Wrong(gaussian(), gaussian(), offset=0.5), Drawn(gaussian()), pairs=200)
    assert any("kl_to_truth" in line for line in warnings)
    assert any("sample_chi2_p" in line for line in warnings)


def test_a_likelihood_that_is_not_finite_is_said():
    _, warnings = measure(Wrong(gaussian(), gaussian(), offset=-math.inf), Drawn(gaussian(), known=False))
    assert any("not finite" in line for line in warnings)


def test_a_wrong_base_variance_shows_beside_the_floor():
    metrics, _ = measure(gaussian(std=0.7), Drawn(gaussian()), pairs=1000)
    assert metrics["latent_energy_distance"] > 10 * metrics["latent_energy_distance_floor"]
    assert metrics["sample_energy_distance"] > 10 * metrics["sample_energy_distance_floor"]


def test_contexts_are_taken_into_account():
    data = Drawn(gaussian(shift=4.0), labels=True)
    right, _ = measure(gaussian(shift=4.0), data, pairs=500)
    swapped, _ = measure(
        gaussian(mean=4.0, shift=-4.0), data, pairs=500
    )  # each class's draws given to the other
    assert right["sample_energy_distance"] < 4 * right["sample_energy_distance_floor"]
    assert swapped["sample_energy_distance"] > 20 * swapped["sample_energy_distance_floor"]
    assert right["kl_to_truth"] == pytest.approx(0, abs=1e-12)
    assert swapped["kl_to_truth"] == pytest.approx(16, rel=0.1)  # (4 / 1)² / 2 for each of two features


def test_what_is_unknown_or_pointless_is_left_out():
    metrics, _ = measure(gaussian(3), Drawn(gaussian(3), features=3, known=False), pairs=200)
    assert {"nll", "latent_energy_distance", "sample_energy_distance"} <= metrics.keys()
    assert not {"kl_to_truth", "nll_floor", "truth_ratio", "sample_chi2_p"} & metrics.keys()
    assert "bits_per_dim" not in metrics
    other, _ = measure(Wrong(gaussian(), gaussian()), Drawn(gaussian()), pairs=200)
    assert "latent_energy_distance" not in other


def test_points_that_are_no_vectors():
    data = Drawn(gaussian(4), features=4, known=False)
    data.spec = Spec(("grey",), (1, 2, 2))
    data._sources = {"test": InMemory(torch.randn(100, 1, 2, 2))}
    metrics, _ = measure(StandardNormal((1, 2, 2)), data)
    assert metrics["spread_skill"] == pytest.approx(1, abs=0.1)
    assert "nll_gap" not in metrics


def test_without_a_test_part_the_truth_is_drawn_from():
    metrics, _ = measure(gaussian(), Drawn(gaussian(), parts=()), points=500, pairs=100)
    assert metrics["test_points"] == 500
    with pytest.raises(UserError, match="no test part"):
        measure(gaussian(), Drawn(gaussian(), parts=("train",), known=False))


def test_a_seed_fixes_every_number_and_no_global_randomness_is_used():
    data, state = Drawn(gaussian()), torch.get_rng_state()
    model = gaussian(std=1.1)
    assert measure(model, data, 3, pairs=200) == measure(model, data, 3, pairs=200)
    assert measure(model, data, 3, pairs=200) != measure(model, data, 4, pairs=200)
    assert torch.equal(torch.get_rng_state(), state)


def test_points_are_spread_over_a_sorted_part():
    data = Drawn(gaussian(), n=1000)
    data._sources["test"] = InMemory(data._sources["test"].x.sort(0).values)
    metrics, _ = measure(gaussian(), data, points=100, pairs=50)
    assert metrics["test_points"] == 100
    assert metrics["nll"] == pytest.approx(1 + math.log(2 * math.pi), abs=0.5)


def test_float32_models_are_measured_in_float64():
    metrics, _ = measure(gaussian(std=1.5).float(), Drawn(gaussian()), pairs=200)
    exact, _ = measure(gaussian(std=1.5), Drawn(gaussian()), pairs=200)
    assert metrics["kl_to_truth"] == pytest.approx(exact["kl_to_truth"], abs=1e-6)


def test_a_model_without_likelihood_is_judged_by_its_draws():
    data = Drawn(gaussian(), n=500)
    metrics, _ = measure(Copier(data), data, pairs=100)
    assert {"mmd_median", "c2st", "precision", "recall", "w1_a", "kl_b", "memorisation_z"} <= metrics.keys()
    assert (
        not {"nll", "kl_to_truth", "sample_chi2_p", "truth_ratio", "latent_energy_distance"} & metrics.keys()
    )


def test_learning_by_heart_shows_in_the_likelihood_of_training_points():
    metrics, _ = measure(gaussian(), Drawn(gaussian(), n=500), pairs=50)
    assert metrics["nll_train"] == pytest.approx(metrics["nll_train_floor"])
    assert metrics["nll_train"] != metrics["nll"]


def test_lost_draws_and_too_few_points_are_said():
    lost = Wrong(gaussian(3, mean=math.nan), gaussian(3))
    metrics, warnings = measure(lost, Drawn(gaussian(3), features=3, n=100, known=False), pairs=50)
    assert metrics["lost_draws"] == 1
    assert any(line.startswith("lost_draws") for line in warnings)
    _, warnings = measure(gaussian(), Drawn(gaussian(), n=10), pairs=50)
    assert any("20 test and training points" in line for line in warnings)


# Lattices


class Uniform(Density):
    """Uniform between two ends: the law of lattice points spread over their cells."""

    def __init__(self, low, high, features=2):
        super().__init__()
        self.low, self.high, self.features = low, high, features

    def sample(self, n, context=None, generator=None):
        unit = torch.rand(n, self.features, generator=generator, dtype=torch.float64)
        return self.low + (self.high - self.low) * unit

    def log_prob(self, x, context=None):
        inside = ((x >= self.low) & (x < self.high)).all(-1)
        return torch.where(inside, -self.features * math.log(self.high - self.low), -math.inf)


def on_a_lattice(step=0.5, known=True, parts=("train", "test")):
    """Eight levels from 1, equally likely."""
    data = Drawn(Uniform(1.0, 1 + 8 * step), n=1000, known=known, parts=parts)
    spec = data.spec._replace(support=((1.0, 1 + 8 * step),) * 2, quantum=(step, step))
    data.spec = spec
    for part, source in data._sources.items():
        data._sources[part] = InMemory(1 + step * ((source.x - 1) / step).floor())
    return data


def test_likelihoods_are_of_points_spread_over_their_cells():
    data = on_a_lattice()
    metrics, warnings = measure(Uniform(1.0, 6.0), data, pairs=200)
    assert metrics["nll"] == pytest.approx(2 * math.log(5))
    assert metrics["nll_floor"] == pytest.approx(2 * math.log(4))
    assert metrics["kl_to_truth"] == pytest.approx(2 * math.log(5 / 4))
    assert metrics["bits_per_dim"] == pytest.approx(math.log2(10))  # of ten levels
    assert metrics["bits_per_dim_floor"] == metrics["bits_per_dim_train_floor"] == pytest.approx(3)
    assert {"bits_per_dim_low", "bits_per_dim_high", "bits_per_dim_train"} <= metrics.keys()
    assert warnings == []
    corners = Uniform(1.0, 4.6)  # reaches all the corners, but not all the cells
    metrics, _ = measure(corners, data, pairs=200)
    assert metrics["nll"] == math.inf


def test_latents_are_of_points_spread_over_their_cells():
    data = Drawn(gaussian(), n=1000)
    data.spec = data.spec._replace(quantum=(0.5, 0.5))
    data._sources = {part: InMemory((2 * source.x).floor() / 2) for part, source in data._sources.items()}
    metrics, _ = measure(gaussian(), data, pairs=1000)
    assert metrics["latent_energy_distance"] < 4 * metrics["latent_energy_distance_floor"]


def test_draws_of_a_truth_that_stand_for_a_test_part_are_moved_onto_the_lattice():
    data = on_a_lattice(parts=("train",))
    metrics, warnings = measure(data.truth, data, points=500, pairs=200)
    assert metrics["copied"] == metrics["copied_floor"] == 1
    assert metrics["w1_mean"] < 2 * metrics["w1_mean_floor_99"]
    assert metrics["bits_per_dim"] == pytest.approx(3)
    assert warnings == []


def test_a_bounded_support_without_a_lattice_is_no_trouble():
    data = Drawn(Uniform(0.0, 1.0))
    data.spec = data.spec._replace(support=((0.0, 1.0),) * 2)
    metrics, warnings = measure(Uniform(0.0, 1.0), data, pairs=200)
    assert metrics["sample_chi2_p"] > 1e-3
    assert metrics["mmd"] < 4 * metrics["mmd_floor"]
    assert warnings == []


# Orders


class Regressions(AnySubset):
    """p(x_d | x_S) = N(Σ w_dj x_j over S, 1): any weights at all, so seldom those of one density."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights
        self.orders = torch.arange(len(weights)).unsqueeze(0)

    def conditionals(self, x, given, context=None):
        known = (given & ~torch.eye(len(self.weights), dtype=torch.bool)) * self.weights
        mean = (known * x.unsqueeze(-2)).sum(-1)
        return -0.5 * (x - mean).square() - 0.5 * math.log(2 * math.pi)

    def impute(self, x, observed, context=None, generator=None):
        drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        return torch.where(observed, x, drawn)

    def sample(self, n, context=None, generator=None):
        x = torch.zeros(n, len(self.weights), dtype=torch.float64)
        return self.impute(x, torch.zeros(len(self.weights), dtype=torch.bool), None, generator)


def test_the_spread_over_orders_is_between_the_best_and_the_worst_of_all():
    weights = torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double()
    model, data = Regressions(weights), Drawn(gaussian(4), features=4, n=500)
    x = data.source("test").x
    means = [model.order_log_prob(x, torch.tensor(order)).mean() for order in permutations(range(4))]
    metrics, _ = measure(model, data, pairs=50)
    assert metrics["nll_order_spread"] == pytest.approx((max(means) - min(means)).item())


def test_orders_that_agree_have_no_spread():
    metrics, _ = measure(
        Regressions(torch.zeros(7, 7).double()), Drawn(gaussian(7), features=7, n=50), pairs=50
    )
    assert metrics["nll_order_spread"] == pytest.approx(0, abs=1e-9)


def test_of_many_features_some_orders_are_tried():
    weights = torch.randn(7, 7, generator=torch.Generator().manual_seed(1)).double()
    metrics, _ = measure(Regressions(weights), Drawn(gaussian(7), features=7, n=50), pairs=50)
    assert metrics["nll_order_spread"] > 0.1


# The table


def everything():
    """Metrics of every kind."""
    unit = Drawn(Uniform(0.0, 1.0), n=100)
    unit.spec = unit.spec._replace(support=((0.0, 1.0),) * 2)
    many = Drawn(gaussian(9), features=9, n=100)
    many.spec = many.spec._replace(names=tuple("abcdefghi"))
    lost = Wrong(gaussian(mean=math.nan), gaussian())
    uneven = Drawn(gaussian(), n=100)
    uneven._sources["train"] = Drawn(gaussian(), n=150)._sources["train"]
    cases = [
        (gaussian(), uneven),
        (Uniform(0.0, 1.0), unit),
        (Uniform(1.0, 5.0), on_a_lattice()),
        (gaussian(9), many),
        (Regressions(torch.zeros(2, 2).double()), Drawn(gaussian(), n=100)),
        (lost, Drawn(gaussian(), n=100)),
        (FIELDS.truth, FIELDS),
    ]
    return [measure(model, data, pairs=50).metrics for model, data in cases]


def test_fields_are_told_by_cell_and_beside_their_references():
    found = measure(FIELDS.truth, FIELDS)
    assert found.warnings == []
    assert found.metrics["nll_gap"] == found.metrics["kl_to_truth"] == 0
    assert found.metrics["truth_ratio"] == 1
    assert found.metrics["nll_per_dim"] == pytest.approx(found.metrics["nll"] / 64)
    table = {row.key: row for row in rows(found.metrics)}
    assert " to " in table["crps"].floor
    assert table["crps"].climatology
    assert table["crps"].interpolation
    assert "climatology" in text(found.metrics)


def test_the_truth_ratio_of_fields_is_left_out_where_a_few_draws_carry_it():
    far = measure(grf(height=8, width=8, length=1.0).truth, FIELDS, n_members=2).metrics
    assert far["kl_to_truth"] > 1
    assert "truth_ratio" not in far
    points = measure(gaussian(mean=2.0), Drawn(gaussian(), n=200), pairs=50).metrics
    assert points["kl_to_truth"] > 1
    assert "truth_ratio" in points


def test_every_metric_has_a_meaning_and_a_row():
    tables = [rows(metrics) for metrics in everything()]
    told = {row.key: row.meaning for table in tables for row in table}
    assert all(known.text and known.label != key for key, known in told.items())
    by_feature = {key for key in told if key not in MEANINGS}
    assert by_feature == {"w1_a", "w1_b", "kl_a", "kl_b"}
    assert {*told} - by_feature == {key for key in MEANINGS if "<" not in key}
    assert told["kl_a"].label == "KL of a"
    assert meaning("kl_to_truth").label == "KL to the truth"
    assert meaning("of no use").label == "of no use"


def test_no_number_is_left_out_of_the_table_but_those_of_many_features():
    for metrics in everything():
        shown = rows(metrics)
        apart = [key for key in metrics if re.match(r"(w1|kl)_(?!mean|worst|to_truth)", key)]
        many = "w1_worst" in metrics
        parts = [part for row in shown for cell in row[2:] for part in re.split(" to |, ", cell) if part]
        assert len(parts) == len(metrics) - (len(apart) if many else 0)


def test_a_row_joins_what_belongs_together():
    metrics = {
        "w1_x": 0.5,
        "w1_x_floor": 0.25,
        "w1_x_floor_99": 0.75,
        "w1_x_train": 0.125,
        "w1_x_train_floor": 0.0625,
        "z": -2.0,
        "z_floor_low": -1.0,
        "z_floor_high": 1.0,
    }
    first, second = rows(metrics)
    assert first[2:] == ("0.5000", "", "0.2500 to 0.7500", "0.1250", "0.0625", "", "")
    assert second[2:] == ("-2.0000", "", "-1.0000 to 1.0000", "", "", "", "")


def test_the_printed_table_is_aligned_and_narrow():
    metrics, _ = measure(gaussian(), Drawn(gaussian()), pairs=100)
    table, printed = rows(metrics), text(metrics).splitlines()
    assert [line.split()[0] for line in printed] == ["metric", *(row.key for row in table)]
    nll = next(row for row in table if row.key == "nll")
    assert nll.interval == f"{metrics['nll_low']:.4f} to {metrics['nll_high']:.4f}"
    assert nll.floor == f"{metrics['nll_floor']:.4f}"
    ends = [line.index(row.value) + len(row.value) for line, row in zip(printed[1:], table, strict=True)]
    assert len(set(ends)) == 1
    assert max(map(len, printed)) <= 110
    assert "train" not in text({"nll": 1.0})  # no empty columns


def test_what_several_channels_share_has_no_unit_of_the_data():
    several = {
        row.key: row.meaning.unit for row in rows({"crps": 1.0, "rmse": 1.0, "crps_t": 1.0, "crps_u": 2.0})
    }
    assert several == {
        "crps": "standard deviations",
        "rmse": "standard deviations",
        "crps_t": "data units",
        "crps_u": "data units",
    }
    assert {row.meaning.unit for row in rows({"crps": 1.0, "rmse": 1.0})} == {"data units"}
