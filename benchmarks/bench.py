"""Measure all, keep the numbers in benchmarks/results/, write BENCHMARKS.md.

`python -m benchmarks.bench steps` (or another of MEASURES) measures that alone.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    adversary,
    fields,
    gpu,
    memory,
    moons,
    points,
    products,
    race,
    scale,
    startup,
    steps,
    sweep,
)
from benchmarks.page import BESIDES, MEASURED_WITH, page
from flows.training.facts import commit

RESULTS = Path(__file__).parent / "results"
MEASURES: dict[str, Callable[[], dict[str, Any]]] = {
    "steps": steps.measure,
    "memory": memory.measure,
    "race": race.measure,
    "gpu": gpu.measure,
    "startup": startup.measure,
    "sweep": sweep.measure,
    "scale": scale.measure,
    "moons": moons.measure,
    "products": products.measure,
    "points": points.measure,
    "adversary": adversary.measure,
    "fields": fields.measure,
}


def main(names: list[str]) -> None:
    for name in names or [name for name in MEASURES if name != "gpu" or torch.cuda.is_available()]:
        result = {"conditions": conditions(), "results": MEASURES[name]()}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(result["results"], indent=1))
    earlier = [name for names in BESIDES.values() for name in names]
    files = {name: RESULTS / f"{name}.json" for name in (*MEASURES, *earlier)}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    (RESULTS.parents[1] / "BENCHMARKS.md").write_text(page(found))


def conditions() -> dict[str, Any]:
    """Where and with what it is measured, and how busy the machine is otherwise."""
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in MEASURED_WITH},
    }


def _processor() -> str:
    lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout.splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("Model name")), "unknown"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
