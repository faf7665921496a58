"""Gaussian random fields of known law: what likelihood reaches in 2,000 steps, its ablation, and a critic.

Every row is a run as a user makes it, `train.py` and then `evaluate.py`, on one thread. Rows are kept as soon
as they are there; delete `benchmarks/results/fields_runs.json` to measure anew.
`python -m benchmarks.fields hard likelihood` measures one setting, or one contender, alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import keep, kept, medians
from flows.training.facts import commit

ROOT = Path(__file__).parents[1]
RUNS = Path(__file__).parent / "results" / "fields_runs.json"
SEEDS = range(5)

SETTINGS: dict[str, tuple[str, ...]] = {
    "easy": (),
    "hard": ("dataset.smoothness=1.5", "dataset.block=8"),
    "warped": ("dataset.warp=1.0",),
    "small": ("dataset.height=8", "dataset.width=8"),
}
TURNS = "trainer.max_steps=1000"  # of the generator
CONTENDERS: dict[str, tuple[str, ...]] = {
    "likelihood": ("experiment=grf_likelihood", "trainer.max_steps=2000"),
    "diagonal": ("experiment=grf_diagonal", "trainer.max_steps=800"),
    "likelihood, 1000 turns": ("experiment=grf_likelihood", TURNS),
    "wgan, 1000 turns": ("experiment=grf_wgan", TURNS),
}
ALONE = {
    "diagonal": ("easy", "hard", "warped"),
    "likelihood, 1000 turns": ("easy",),
    "wgan, 1000 turns": ("easy",),
}

SHOWN = (
    *("nll_per_dim", "nll_gap", "crps", "crps_exact", "spread_skill", "spread_skill_exact_low"),
    *("spread_skill_exact_high", "rank_chi2_p", "log_spectral_distance", "log_spectral_distance_exact"),
    *("energy_score", "energy_score_exact", "truth_ratio", "truth_ratio_low", "truth_ratio_high"),
)


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """Medians over seeds by setting and contender, once all that is asked for has been run."""
    for setting, contender, seed in _wanted(names):
        if (setting, contender, seed) in _done():  # by another call, maybe, since this one began
            continue
        row = {"setting": setting, "contender": contender, "seed": seed, "commit": commit()}
        row |= _run(*CONTENDERS[contender], *SETTINGS[setting], f"seed={seed}", f"dataset.seed={seed}")
        keep(RUNS, row)
        print(setting, contender, seed, {key: row.get(key) for key in SHOWN}, flush=True)
    return {"medians": _medians(kept(RUNS))}


def _done() -> set[tuple[str, str, int]]:
    return {(row["setting"], row["contender"], row["seed"]) for row in kept(RUNS)}


def _wanted(names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    kinds = ({*names} & SETTINGS.keys(), {*names} & CONTENDERS.keys())
    for seed in SEEDS:
        for contender in CONTENDERS:
            for setting in ALONE.get(contender, SETTINGS):
                if all(not kind or {setting, contender} & kind for kind in kinds):
                    yield setting, contender, seed


def _run(*overrides: str) -> dict[str, Any]:
    """What training and judging gave."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        _call("train.py", *overrides, f"run_dir={run}", "logger=csv", "runtime.threads=1")
        _call("evaluate.py", f"run={run}")
        facts = json.loads((run / "run.json").read_text())
        metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    return {"seconds": facts["seconds"], "steps": facts["step"]} | metrics


def _call(*command: str) -> None:
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _medians(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for setting, contender in dict.fromkeys((row["setting"], row["contender"]) for row in rows):
        same = [row for row in rows if (row["setting"], row["contender"]) == (setting, contender)]
        found.append({"setting": setting, "contender": contender, "seeds": len(same)})
        found[-1] |= medians(same, ("seconds", "steps", *SHOWN))
        found[-1]["nll_gap_worst"] = max(row["nll_gap"] for row in same)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
