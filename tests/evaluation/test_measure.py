import math

import pytest
import torch
from gaussians import Drawn, Wrong, gaussian

from data.memory import InMemory
from flows.bases import StandardNormal
from flows.core import Spec
from flows.errors import UserError
from flows.evaluation.meaning import MEANINGS, rows, text
from flows.evaluation.measure import measure

KL = math.log(1.5) + (1 + 0.3**2) / (2 * 1.5**2) - 0.5  # of N(0, 1) from N(0.3, 1.5²), each feature


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
    other, _ = measure(Wrong(gaussian(), gaussian()), Drawn(gaussian()), pairs=200)
    assert "latent_energy_distance" not in other


def test_points_that_are_no_vectors():
    data = Drawn(gaussian(4), features=4, known=False)
    data.spec = Spec(("grey",), (1, 2, 2))
    data._sources = {"test": InMemory(torch.randn(100, 1, 2, 2))}
    metrics, _ = measure(StandardNormal((1, 2, 2)), data)
    assert metrics["sample_energy_distance"] < 5 * metrics["sample_energy_distance_floor"]


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


def test_every_metric_has_a_meaning_and_a_row():
    metrics, _ = measure(gaussian(), Drawn(gaussian()), pairs=100)
    table = rows(metrics)
    assert {row.key for row in table} == MEANINGS.keys()
    printed = text(metrics).splitlines()
    assert [line.split()[0] for line in printed] == ["metric", *(row.key for row in table)]
    nll = next(row for row in table if row.key == "nll")
    assert nll.interval == f"{metrics['nll_low']:.4f} to {metrics['nll_high']:.4f}"
    assert nll.floor == f"{metrics['nll_floor']:.4f}"
    ends = [line.index(row.value) + len(row.value) for line, row in zip(printed[1:], table, strict=True)]
    assert len(set(ends)) == 1  # aligned
