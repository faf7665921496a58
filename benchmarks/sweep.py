"""What a sweep costs: eight seeds under each launcher, beside one run, by the clock and in all.

All are whole commands of 1,000 steps, imports, validation and summary included, in turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.turns import medians

ROOT = Path(__file__).parents[1]
SEEDS, STEPS = 8, 1000
MODELS = {
    "RealNVP on moons": (),
    "splines on the π": ("dataset=xyrgb", "model=spline_coupling"),
}
SWEPT = ("-m", f"seed=range({SEEDS})")
WAYS = {
    "one run": (),
    "basic": SWEPT,
    "processes": (*SWEPT, "hydra/launcher=processes"),
    "batched": (*SWEPT, "hydra/launcher=batched"),
    "batched, compiled": (*SWEPT, "hydra/launcher=batched", "runtime.compile=true"),
}


def measure(rounds: int = 3) -> dict[str, Any]:
    """Median seconds of each way with each model."""
    timers = {
        (model, way): partial(_time, *about, *WAYS[way]) for model, about in MODELS.items() for way in WAYS
    }
    found = medians(timers, rounds)
    seconds = {model: {way: round(found[model, way], 2) for way in WAYS} for model in MODELS}
    return {"seeds": SEEDS, "steps": STEPS, "rounds": rounds, "seconds": seconds}


def _time(*given: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", *given, f"trainer.max_steps={STEPS}", f"run_dir={folder}/run"]
        begin = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=os.environ, check=True, capture_output=True)
        return time.perf_counter() - begin
