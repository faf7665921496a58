"""The first losses of every experiment, kept: a refactor leaves them as they are.

After a change that is meant to move them: FLOWLAB_GOLDEN=write make test
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import composed
import gridded
import pytest
import zoo

from flows.training.table import read

GOLDEN = Path(__file__).parent / "golden"
CURVES = {"default": (), **{name: (f"experiment={name}",) for name in zoo.names("experiment")}}
SHORT = (
    "trainer.max_steps=12",
    "trainer.max_epochs=null",
    "trainer.validate_every=4",
    "trainer.checkpoint_every=12",
    "logger=csv",
    "logger.log_every=1",
    "logger.describe=false",
    "runtime=cpu",
    "runtime.threads=1",
)


@pytest.mark.parametrize("name", CURVES)
def test_golden_curve(tmp_path, name):
    toy = () if name.startswith("xyrgb") else ("dataset.n_val=500",)
    toy = ("dataset.n_train=256", "dataset.n_val=32") if name.startswith("grf") else toy
    if name.startswith("netcdf"):
        toy = (f"dataset.path={gridded.saved(tmp_path)}", "dataset.target=[t2m]", "dataset.coarsen=3")
    if name == "grf_wgan":  # a step has six turns
        toy += ("trainer.max_steps=2", "trainer.validate_every=1", "trainer.checkpoint_every=2")
    composed.run(tmp_path / "run", *CURVES[name], *SHORT, *toy)
    rows = read(tmp_path / "run" / "metrics.csv")
    curve = {
        "nll": [float(row["nll"]) for row in rows],
        "val_nll": [float(row["val_nll"]) for row in rows if row["val_nll"]],
    }
    path = GOLDEN / f"{name}.json"
    if os.environ.get("FLOWLAB_GOLDEN") == "write":
        path.write_text(json.dumps(curve, indent=1) + "\n")
    expected = json.loads(path.read_text())
    assert curve.keys() == expected.keys()
    for key, values in curve.items():
        assert values == pytest.approx(expected[key], rel=1e-4), key
