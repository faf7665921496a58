"""Small runs of every kind, and whether two are the same to the last bit."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from flows.training import checkpoint, table

STEPS = 24
_MANY = (
    *(f"trainer.max_steps={STEPS}", "trainer.validate_every=6", "trainer.checkpoint_every=4"),
    *("logger.log_every=3", "logger.figures=0", "runtime=cpu"),
)
_MOONS = ("dataset.n_train=256", "dataset.n_val=64", "dataset.n_test=64", "trainer.batch_size=32")
KINDS = {
    "realnvp": (*_MANY, *_MOONS, "model.layers=2", "model.width=8"),
    "masked_transformer": (
        *(*_MANY, *_MOONS, "model=masked_transformer", "trainer=masked", "model.layers=1", "model.width=8"),
        *("model.heads=2", "model.components=2", "model.dropout=0.1"),
    ),
    "wgan_gp": (
        *(*_MANY, "model=conditional_flow", "trainer=wgan_gp", "dataset=grf", "model.width=8"),
        *("model.layers=1", "dataset.height=8", "dataset.width=8", "dataset.n_train=64", "dataset.n_val=8"),
        *("dataset.n_test=8", "trainer.batch_size=4", "trainer.objective.critic.depth=1"),
        *("trainer.objective.critic.width=4", "trainer.objective.n_critic=3"),
    ),
}
BATCHES = {  # at their default widths but the transformer; and how many members
    "realnvp": (2, (*_MANY, *_MOONS)),
    "spline_coupling": (2, (*_MANY, *_MOONS, "model=spline_coupling")),
    "masked_transformer": (3, KINDS["masked_transformer"]),
}
_OWN = ("seconds", "command", "commit", "resumed", "machine")  # of each life


def differences(ours: Path, theirs: Path) -> list[str]:
    """In what two runs differ, at zero tolerance; wall clock and paths left out. Empty if in nothing."""
    found = []
    for kind in ("last", "best"):
        found += [f"{kind}: {each}" for each in _checkpoints(ours, theirs, kind)]
    for name, read in (("metrics.csv", rows), ("TensorBoard", scalars), ("run.json", facts)):
        if read(ours) != read(theirs):
            found.append(name)
    if (ours / "config.yaml").read_text() != (theirs / "config.yaml").read_text():
        found.append("config.yaml")
    return found


def _checkpoints(ours: Path, theirs: Path, kind: str) -> list[str]:
    """Of weights, optimizer, average, schedule, generators, and all else there is to save."""
    mine, yours = (checkpoint.newest(run / "checkpoints" / kind) for run in (ours, theirs))
    if mine is None or yours is None or mine.name != yours.name:
        return [f"{mine} beside {yours}"]
    a, b = checkpoint.read(mine), checkpoint.read(yours)
    left, right = (_flat(each.tensors) for each in (a, b))
    names = [name for name in left.keys() | right.keys() if not _equal(left.get(name), right.get(name))]
    return names + (["state"] if a.state != b.state else [])


def _flat(tensors: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {f"{part}.{name}": value for part, own in tensors.items() for name, value in own.items()}


def _equal(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and torch.equal(a, b)


def rows(run: Path) -> list[dict[str, str]]:
    """metrics.csv but for speed."""
    found = table.read(run / "metrics.csv")
    return [{name: cell for name, cell in row.items() if name != "steps_per_second"} for row in found]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve that TensorBoard shows but speed."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "steps_per_second" not in tag]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def facts(run: Path) -> dict[str, Any]:
    """run.json but for what each life has of its own."""
    return {k: v for k, v in json.loads((run / "run.json").read_text()).items() if k not in _OWN}


def step(run: Path) -> int:
    """Where it would carry on."""
    latest = checkpoint.newest(run / "checkpoints" / "last")
    return 0 if latest is None else int(latest.name)


def finite(path: Path) -> bool:
    """Whether all numbers of a checkpoint are."""
    return all(
        bool(value.isfinite().all())
        for value in _flat(checkpoint.read(path).tensors).values()
        if value.is_floating_point()
    )


def leftovers(folder: Path) -> list[str]:
    """Temporary files below a folder."""
    return [str(path) for path in folder.rglob("*") if path.name.endswith(".tmp")]


def increasing(run: Path) -> bool:
    """Whether no curve repeats or goes back."""
    curves = scalars(run)
    return bool(curves) and all(
        all(before < after for (before, _), (after, _) in pairwise(curve)) for curve in curves.values()
    )
