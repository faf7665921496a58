"""How long commands take to answer, a run to take its first step, and us and the peers to be imported.

A run of one step validates, saves, draws its figures and says what came of it too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TYPED = {"COMP_LINE": "train.py mod", "COMP_POINT": "12"}  # what a shell tells those who complete
IMPORTED = ("flows", "torch", "zuko", "nflows.flows", "normflows", "FrEIA.framework", "flowjax.flows")
ONE = "trainer.max_steps=1"
FIRST_STEP = """
import os, runpy, sys
from flows.training.trainer import Trainer

step = Trainer.take_turn

def turn(self, run):
    step(self, run)
    os._exit(0)

Trainer.take_turn = turn
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""
COMMANDS = {
    "train.py --help": ("train.py", "--help"),
    "tab completion": ("train.py", "-sc", "query=bash"),
    "train.py --cfg job": ("train.py", "--cfg", "job"),
    "train.py, first step": ("-c", FIRST_STEP, ONE),
    f"train.py {ONE}": ("train.py", ONE),
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
    with tempfile.TemporaryDirectory() as folder:
        run = (f"run_dir={folder}/run",) if ONE in command else ()
        typed = {} if run else TYPED
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, *command, *run],
            cwd=ROOT,
            env=os.environ | typed,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - begin
