"""Seconds until two moons are known to 0.05, 0.02, 0.01 nats, from the start of the process.

Each contender's script is a process: imports, data, training, all caches cold. For each seed the budgets, in
steps, are tried from the smallest on; the first whose KL(truth || model) on the 20,000 test points passes
gives the time. Medians over seeds 0 to 4. Before, each contender chooses among as many settings on seeds
100 to 102. Rows are kept as soon as they are there, so that a call cut off carries on;
`python -m benchmarks.race 0 zuko` runs one seed, or one contender, alone, and tunes nothing.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.rows import keep, kept
from data.toys import moons

ROOT = Path(__file__).parents[1]
RUNS = Path(__file__).parent / "results" / "race_runs.json"
TARGETS, BUDGETS = (0.05, 0.02, 0.01), (250, 500, 1000, 2000, 4000, 8000, 16_000)
SEEDS, TUNED_ON, TUNED_WITH = range(5), range(100, 103), (1000, 4000)
TUNED_FOR = 0.02
ENOUGH = 600.0  # seconds of one run


class Setting(NamedTuple):
    """What a contender chooses."""

    kind: str
    lr: float


SETTINGS = [Setting(kind, lr) for kind in ("spline", "realnvp") for lr in (5e-3, 2e-3, 1e-2)]
CONTENDERS = {
    "flowlab": [Setting(kind, lr) for kind in ("mixture", "spline") for lr in (1e-2, 5e-3, 2e-3)],
    **dict.fromkeys(("zuko", "nflows", "normflows", "flowjax"), SETTINGS),
    "FrEIA": [Setting("realnvp", lr) for lr in (5e-3, 1e-3, 2e-3, 3e-3, 7e-3, 1e-2)],  # it has no splines
}
WORST = 1e3  # what a KL that isn't finite counts as
COMMAND = {  # ours, as a user types it
    "mixture": (
        *("model=mixture_autoregressive", "model.components=16"),
        *("model.width=64", "model.depth=1"),
    ),
    "spline": ("model=spline_coupling", "model.layers=4", "model.width=64"),
}
KEYS = ("contender", "kind", "lr", "seed", "steps")


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """Median seconds to each target by contender, None where it isn't reached."""
    if not names:
        tune()
    seeds = [seed for seed in SEEDS if str(seed) in names] or SEEDS
    for seed in seeds:
        for contender in _chosen(names):
            setting = best(contender)
            for steps in BUDGETS:
                row = run(contender, setting, seed, steps)
                if row["kl"] <= min(TARGETS) or row["seconds"] > ENOUGH:
                    break
    rows = kept(RUNS)
    tuned = any(row["seed"] in TUNED_ON for row in rows)
    return {"tuned": tuned, "medians": [_median(rows, contender) for contender in CONTENDERS]}


def tune() -> None:
    """As many runs for each contender, on other seeds."""
    for seed in TUNED_ON:
        for contender, settings in CONTENDERS.items():
            for setting in settings:
                for steps in TUNED_WITH:
                    run(contender, setting, seed, steps)


def best(contender: str) -> Setting:
    """The setting that was soonest where it was tuned, by KL if none passed; untuned, the first."""
    rows = [row for row in kept(RUNS) if row["seed"] in TUNED_ON and row["contender"] == contender]

    def rank(setting: Setting) -> tuple[float, float]:
        mine = [row for row in rows if (row["kind"], row["lr"]) == setting]
        if not mine:
            return math.inf, math.inf
        return _seconds(mine, TUNED_FOR), statistics.median(row["kl"] for row in mine)

    return min(CONTENDERS[contender], key=rank)


def run(contender: str, setting: Setting, seed: int, steps: int) -> dict[str, Any]:
    """One process, or its row if it is kept already."""
    asked = dict(zip(KEYS, (contender, *setting, seed, steps), strict=True))
    for row in kept(RUNS):
        if all(row[key] == value for key, value in asked.items()):
            return row
    with tempfile.TemporaryDirectory() as folder:
        race = _ours if contender == "flowlab" else _theirs
        seconds, scores = race(asked, Path(folder))
    truth, _ = _judged_on(seed)
    kl = float((truth - scores).mean())
    row = asked | {"seconds": round(seconds, 2), "kl": round(kl, 5) if kl < WORST else WORST}
    keep(RUNS, row)
    print(row, flush=True)
    return row


def _ours(asked: Mapping[str, Any], folder: Path) -> tuple[float, np.ndarray]:
    """The whole of train.py, to the end of its process."""
    import flows

    begin = time.time()
    _call(
        folder,
        *("train.py", *COMMAND[asked["kind"]], f"trainer.optimizer.lr={asked['lr']}"),
        *(f"seed={asked['seed']}", f"dataset.seed={asked['seed']}", f"trainer.max_steps={asked['steps']}"),
        *("trainer.warmup=50", "logger=csv", "logger.figures=0", f"run_dir={folder / 'run'}"),
    )
    seconds = time.time() - begin
    with torch.no_grad():
        density: Any = flows.load(str(folder / "run"))
        x = torch.from_numpy(_judged_on(asked["seed"])[1]).float()
        return seconds, density.log_prob(x).double().numpy()


def _theirs(asked: Mapping[str, Any], folder: Path) -> tuple[float, np.ndarray]:
    files = {name: str(folder / f"{name}.npy") for name in ("points", "scores")}
    np.save(files["points"], _judged_on(asked["seed"])[1])
    begin = time.time()
    said = _call(folder, "-m", "benchmarks.racer", json.dumps({**asked, **files}))
    return float(said.split()[-1]) - begin, np.load(files["scores"])


def _call(folder: Path, *command: str) -> str:
    cold = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=cold, check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout


@cache
def _judged_on(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The truth's scores of the test points, and the points."""
    dataset = moons(seed=seed)
    x = dataset.source("test").take(slice(None)).x
    return dataset.truth.log_prob(x).numpy(), x.numpy()


def _chosen(names: Sequence[str]) -> list[str]:
    return [name for name in CONTENDERS if name in names] or [*CONTENDERS]


def _median(rows: Sequence[Mapping[str, Any]], contender: str) -> dict[str, Any]:
    setting = best(contender)
    mine = [
        row
        for row in rows
        if row["contender"] == contender and row["seed"] in SEEDS and (row["kind"], row["lr"]) == setting
    ]
    found = {f"{target:g}": _seconds(mine, target) if mine else math.inf for target in TARGETS}
    return {
        "contender": contender,
        **setting._asdict(),
        "seeds": len({row["seed"] for row in mine}),
        "seconds": {target: value if value < math.inf else None for target, value in found.items()},
    }


def _seconds(rows: Sequence[Mapping[str, Any]], target: float) -> float:
    """Median over seeds of the time of the smallest budget that passes."""
    each = []
    for seed in {row["seed"] for row in rows}:
        passing = [row for row in rows if row["seed"] == seed and row["kl"] <= target]
        soonest = min(passing, key=lambda row: row["steps"], default={"seconds": math.inf})
        each.append(soonest["seconds"])
    return statistics.median(each)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
