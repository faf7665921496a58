"""Every dataset × model × trainer runs three steps, or is refused in one line."""

from __future__ import annotations

import itertools
import json
import math
from copy import deepcopy
from functools import cache

import composed
import pytest
import zoo

from flows.core import AnySubset, Flow
from flows.errors import UserError
from flows.training.table import read

SHORT = ("experiment=debug", "logger=csv", "logger.describe=false", "logger.log_every=1")
composed_once = cache(composed.configuration)  # for Hydra takes longer than three steps
SIZES = {"n": 600, "n_train": 600, "n_val": 100, "n_test": 100, "height": 16, "width": 16}
DATASETS = [
    name for name in zoo.names("dataset") if "path" not in zoo.node("dataset", name)
]  # no file needed
FLOWS = {name for name in zoo.names("model") if isinstance(zoo.built(name, *zoo.example(name)), Flow)}
SUBSETS = {name for name in zoo.MODELS if isinstance(zoo.model(name), AnySubset)}
LABELLED = [name for name in DATASETS if "labels" in zoo.node("dataset", name)]


def short(dataset):
    """Three steps on few examples."""
    keys = zoo.node("dataset", dataset)
    return (*SHORT, *(f"dataset.{key}={size}" for key, size in SIZES.items() if key in keys))


@cache
def is_of_fields(dataset):
    """Whether its examples lie on a grid, which a model of vectors refuses, as one of fields does vectors."""
    return len(composed.dataset(f"dataset={dataset}", *short(dataset)).spec.shape) == 3


def configuration(folder, dataset, model, trainer):
    """Of such a run: each group's part as Hydra composes it beside the other groups' defaults."""
    config = {**composed_once(f"dataset={dataset}", *short(dataset)), "run_dir": str(folder)}
    for group, option in (("model", model), ("trainer", trainer)):
        config[group] = composed_once(f"{group}={option}", *SHORT)[group]
    return deepcopy(config)


def finished(folder):
    """The rows of a run that took its three steps."""
    rows = read(folder / "metrics.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert all(math.isfinite(float(row["nll"])) for row in rows)
    assert math.isfinite(float(rows[-1]["val_nll"]))
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    return rows


def combinations():
    """All; fast are those of every dataset with the default, and of every pair with three datasets."""
    for dataset, *pair in itertools.product(DATASETS, zoo.names("model"), zoo.names("trainer")):
        fields = [dataset, *pair] == ["grf", "conditional_flow", "wgan_gp"]  # trained in other tests too
        fast = pair == ["realnvp", "likelihood"] or (
            dataset in ("moons", "xyrgb", "iris", "grf") and not fields
        )
        yield pytest.param(dataset, *pair, marks=[] if fast else pytest.mark.slow)


@pytest.mark.parametrize(("dataset", "model", "trainer"), [*combinations()])
def test_three_steps_or_one_line(tmp_path, dataset, model, trainer):
    needs = {"masked": SUBSETS, "wgan_gp": FLOWS}
    config = configuration(tmp_path / "run", dataset, model, trainer)
    if model not in needs.get(trainer, {model}) or is_of_fields(dataset) != (model in zoo.FIELDS):
        with pytest.raises(UserError) as refusal:
            composed.carry_out(config)
        assert "\n" not in str(refusal.value)
        return
    composed.carry_out(config)
    last = finished(tmp_path / "run")[-1]
    assert float(last.get("val_kl_to_truth", 1)) > 0


@pytest.mark.parametrize("dataset", LABELLED)
def test_labels_as_context(tmp_path, dataset):
    config = configuration(tmp_path / "run", dataset, "realnvp", "likelihood")
    config["dataset"]["labels"] = True
    composed.carry_out(config)
    finished(tmp_path / "run")


@pytest.mark.parametrize("experiment", zoo.names("experiment"))
def test_every_experiment_composes(experiment):
    config = composed.configuration(f"experiment={experiment}")
    assert {"dataset", "model", "trainer", "runtime", "logger", "seed"} <= config.keys()
