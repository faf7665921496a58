"""Every dataset × model × trainer runs three steps, or is refused in one line."""

from __future__ import annotations

import itertools
import json
import math

import composed
import pytest
import zoo

from flows.errors import UserError
from flows.training.table import read

SHORT = ("experiment=debug", "logger=csv", "logger.describe=false", "logger.log_every=1")
FEW = ("dataset.n_train=600", "dataset.n_val=100", "dataset.n_test=100")
REFUSED: set[tuple[str, str, str]] = set()  # dataset, model, trainer that can't go together
LABELLED = [name for name in zoo.names("dataset") if "labels" in zoo.node("dataset", name)]


@pytest.mark.parametrize(
    ("dataset", "model", "trainer"),
    [*itertools.product(zoo.names("dataset"), zoo.names("model"), zoo.names("trainer"))],
)
def test_three_steps_or_one_line(tmp_path, dataset, model, trainer):
    choice = (f"dataset={dataset}", f"model={model}", f"trainer={trainer}")
    if (dataset, model, trainer) in REFUSED:
        with pytest.raises(UserError) as refusal:
            composed.run(tmp_path / "run", *choice, *SHORT, *FEW)
        assert "\n" not in str(refusal.value)
        return
    composed.run(tmp_path / "run", *choice, *SHORT, *FEW)
    rows = read(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert all(math.isfinite(float(row["nll"])) for row in rows)
    assert float(rows[-1]["val_kl_to_truth"]) > 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("dataset", LABELLED)
def test_labels_as_context_or_one_line(tmp_path, dataset):
    try:
        composed.run(tmp_path / "run", f"dataset={dataset}", "dataset.labels=true", *SHORT, *FEW)
    except UserError as refusal:
        assert "labels" in str(refusal)
        assert "\n" not in str(refusal)
        return
    assert float(read(tmp_path / "run" / "metrics.csv")[-1]["val_kl_to_truth"]) > 0


@pytest.mark.parametrize("experiment", zoo.names("experiment"))
def test_every_experiment_composes(experiment):
    config = composed.configuration(f"experiment={experiment}")
    assert {"dataset", "model", "trainer", "runtime", "logger", "seed"} <= config.keys()
