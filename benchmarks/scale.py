"""What a training step and its memory cost as a table grows, read from a cold page cache.

Tables of five float32 columns, up to 2 GB, are written for it and deleted again (TMPDIR says where).
All else is the default. Each measurement is a process of its own, on one thread. Its steps are a quarter of
those that a window of the largest file lasts, all of which is read among them: reading is counted four times
over. The file is dropped from the page cache before them, for the beginning has read it. They take turns, so
that what else the machine does meets all of them. `python -m benchmarks.bench scale` measures it.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
ROWS = (10**4, 10**6, 10**8)
COLUMNS, BLOCK = 5, 10**6
ROUNDS, WARM, STEPS = 3, 100, 1024
WAYS = {  # 10**8 rows are mapped unless they are asked not to be
    f"{rows:.0e} rows, {'mapped' if mapped else 'in memory'}": (rows, mapped)
    for rows in ROWS
    for mapped in (False, True)
    if mapped or rows == ROWS[0]
}


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians over rounds by rows and way, and how far the largest table is above the least."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        paths = {rows: _write(Path(folder) / f"{rows}.npy", rows) for rows in ROWS}
        for _ in range(rounds):
            for way, (rows, mapped) in WAYS.items():
                command = [sys.executable, "-m", "benchmarks.scale", str(paths[rows]), str(mapped).lower()]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                found[way].append(json.loads(done.stdout.splitlines()[-1]))
                print(way, found[way][-1], flush=True)
    medians = {
        way: {key: round(statistics.median(each[key] for each in rows), 4) for key in rows[0]}
        for way, rows in found.items()
    }
    least, most = medians[next(iter(WAYS))], medians[[*WAYS][-1]]
    return {
        "medians": medians,
        "step_at_1e8_over_1e4": round(most["cpu_ms_a_step"] / least["cpu_ms_a_step"], 3),
        "wall_step_at_1e8_over_1e4": round(most["ms_a_step"] / least["ms_a_step"], 3),
        "gb_above_1e4_in_memory": round(most["peak_gb"] - least["peak_gb"], 3),
        "rounds": rounds,
    }


def _write(path: Path, rows: int) -> Path:
    """A file of correlated columns, a block at a time, and on the disk when this returns."""
    generator = np.random.default_rng(0)
    np.lib.format.open_memmap(path, "w+", np.float32, (rows, COLUMNS))
    header = path.stat().st_size - rows * COLUMNS * 4
    with path.open("r+b") as file:
        file.seek(header)
        for start in range(0, rows, BLOCK):
            z = generator.standard_normal((min(BLOCK, rows - start), COLUMNS), dtype=np.float32)
            z[:, 1] += z[:, 0] ** 2
            file.write(z.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return path


def _one(path: Path, mapped: str) -> dict[str, float]:
    """One process's worth: begin as `train.py` does, then time steps from a cold page cache."""
    import torch
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from flows.config import build
    from flows.training.fingerprint import fingerprint
    from flows.training.validation import Validation

    options = ["dataset=table", f"dataset.path={path}", f"dataset.mapped={mapped}", "runtime=cpu"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose("config", [*options, "runtime.threads=1", "run_dir=none"])
    config: Any = OmegaConf.to_container(composed, resolve=True)
    runtime = build(config["runtime"], "runtime")
    runtime.enter()
    marks = [time.perf_counter()]
    dataset = build(config["dataset"], "dataset")
    marks.append(time.perf_counter())
    fingerprint(dataset.source("train"))
    marks.append(time.perf_counter())
    torch.manual_seed(0)
    model = build(config["model"], "model", spec=dataset.spec)
    trainer = build(config["trainer"], "trainer")
    run, validation = trainer.start(model, dataset, runtime, 0), Validation(dataset, runtime)
    run.steps = WARM + STEPS
    marks.append(time.perf_counter())
    for _ in range(WARM):
        trainer.take_turn(run)
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        trainer.take_turn(run)
    run.means()
    steps = (time.perf_counter() - begin, time.process_time() - cpu)
    validation(run)
    return {
        "ms_a_step": steps[0] / STEPS * 1e3,
        "cpu_ms_a_step": steps[1] / STEPS * 1e3,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "seconds_to_check": marks[1] - marks[0],
        "seconds_to_hash": marks[2] - marks[1],
        "seconds_to_begin": marks[3] - marks[2],
    }


if __name__ == "__main__":
    print(json.dumps(_one(Path(sys.argv[1]), sys.argv[2])))
