"""What a model may take while it is built: as much as one that was trained did, and little more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import flows
from flows.config import build
from flows.core import Spec
from flows.errors import UserError
from flows.masks import encode
from flows.training import checkpoint
from flows.training.checkpoint import Checkpoint
from flows.training.ration import LEAST, Ration

FIELD = "flows.models.conditional_flow.conditional_flow"


def left_by(folder: Path, spec: Spec, model: dict[str, Any]) -> Path:
    """A run's directory, as far as loading looks."""
    folder.mkdir()
    net = build(model, "model", spec=spec)
    weights = {f"average.{name}": value for name, value in net.state_dict().items()}
    checkpoint.write(folder / "checkpoints" / "best", 1, Checkpoint({"model": weights, "run": {}}, {}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": model, "dataset": {}}))
    (folder / "run.json").write_text(json.dumps({"spec": spec._asdict()}))
    return folder


def fields(channels: int, side: int) -> Spec:
    return Spec(tuple(f"c{number}" for number in range(channels)), (channels, side, side))


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        (fields(1, 512), {"_target_": FIELD}),
        (fields(1, 513)._replace(absent=encode(torch.eye(513).bool())), {"_target_": FIELD, "width": 1}),
        (fields(4, 256), {"_target_": FIELD}),
        (fields(1, 2), {"_target_": FIELD, "layers": 50, "width": 1}),
        (Spec(("a", "b"), (2,)), {"_target_": "flows.models.realnvp.realnvp", "layers": 300, "width": 8}),
    ],
)
def test_what_was_trained_can_be_loaded(tmp_path, spec, model):
    flows.load(left_by(tmp_path / "run", spec, model))


def test_a_grid_that_no_memory_holds_is_refused(tmp_path):
    run = left_by(tmp_path / "run", fields(1, 16), {"_target_": FIELD})
    (run / "run.json").write_text(json.dumps({"spec": fields(1, 10**5)._asdict()}))
    with pytest.raises(UserError, match="larger than the weights that were saved"):
        flows.load(run)


def test_what_is_let_go_of_is_given_back_and_what_is_kept_is_not():
    kept = []
    with Ration(4 * LEAST):
        for _ in range(10):
            torch.zeros(100)
        with pytest.raises(UserError):
            kept.extend(torch.nn.Parameter(torch.zeros(100)) for _ in range(10))  # of the tensors' memory
    assert len(kept) == 4
