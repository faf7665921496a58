"""How long the command line takes to answer, and how long it takes to import us and the peers."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TYPED = {"COMP_LINE": "train.py mod", "COMP_POINT": "12"}  # what a shell tells those who complete
IMPORTED = ("flows", "torch", "zuko", "nflows.flows", "normflows", "FrEIA.framework", "flowjax.flows")
COMMANDS = {
    "train.py --help": ("train.py", "--help"),
    "tab completion": ("train.py", "-sc", "query=bash"),
    "train.py --cfg job": ("train.py", "--cfg", "job"),
    **{f"import {name}": ("-c", f"import {name}") for name in IMPORTED},
}


def measure(rounds: int = 7) -> dict[str, Any]:
    """Median seconds of each command."""
    return {
        "seconds": {
            name: round(statistics.median(_time(command) for _ in range(rounds)), 3)
            for name, command in COMMANDS.items()
        }
    }


def _time(command: tuple[str, ...]) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | TYPED, check=True, capture_output=True
    )
    return time.perf_counter() - begin
