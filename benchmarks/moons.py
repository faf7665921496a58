"""How close the default run comes to the truth of two moons, by seed and seconds of training.

Calls train.py and evaluate.py as a user would: KL(truth || model) on 20,000 test points, in nats.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SEEDS, SECONDS = range(5), (20, 45)
SHOWN = (
    "kl_to_truth",
    "kl_to_truth_low",
    "kl_to_truth_high",
    "nll",
    "sample_chi2_p",
    "truth_ratio_low",
    "truth_ratio_high",
)


def measure() -> dict[str, Any]:
    """A row for each run, failures included, and the median KL for each budget."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_run(Path(folder), seed, seconds) for seconds in SECONDS for seed in SEEDS]
    medians = {
        f"{seconds} s": statistics.median(
            row["kl_to_truth"] for row in rows if row["budget_seconds"] == seconds
        )
        for seconds in SECONDS
    }
    return {"median_kl_to_truth": medians, "runs": rows}


def _run(folder: Path, seed: int, seconds: int) -> dict[str, Any]:
    run = folder / f"{seconds}s-{seed}"
    budget = ("trainer.max_steps=null", f"trainer.max_seconds={seconds}")
    _call("train.py", f"seed={seed}", f"dataset.seed={seed}", *budget, "logger.figures=0", f"run_dir={run}")
    _call("evaluate.py", f"run={run}")
    facts = json.loads((run / "run.json").read_text())
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    row = {"budget_seconds": seconds, "seed": seed, "seconds": facts["seconds"], "steps": facts["step"]}
    return row | {name: metrics[name] for name in SHOWN}


def _call(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, ROOT / program, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
