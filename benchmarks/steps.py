"""A training step of each contender, scoring and drawing by batch size, in turns.

Medians over rounds, each contender at the thread count it is fastest with, and large batches at once or in
blocks, as it is faster.
`python -m benchmarks.steps realnvp zuko step` measures one kind, or contender, or work alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.contenders import CONTENDERS, label, listed
from benchmarks.contenders.architecture import ARCHITECTURES
from benchmarks.turns import medians
from benchmarks.worker import Job, Refused, Worker, cores

ROUNDS, THREADS, BATCHES = 9, (1, 2), ((1, 0), (256, 0), (65_536, 0), (65_536, 8192))
JOBS = [Job("step"), *(Job(work, *batch) for work in ("log_prob", "sample") for batch in BATCHES)]
Key = tuple[str, Job, int]


def measure(names: Sequence[str] = (), left_out: Sequence[str] = (), rounds: int = ROUNDS) -> dict[str, Any]:
    """For each kind of flow: milliseconds by work, batch and contender, at each one's best.

    Args:
        names: Of kinds, contenders and works; of those that aren't named, all.
        left_out: Modes.
        rounds: In which each is timed once.
    """
    kinds = [kind for kind in ARCHITECTURES if kind in names] or list(ARCHITECTURES)
    chosen = [name for name in CONTENDERS if name in names] or list(CONTENDERS)
    jobs = [job for job in JOBS if job.work in names] or JOBS
    found = {}
    for kind in kinds:
        every = listed(ARCHITECTURES[kind])
        entries = [(name, mode) for name, mode in every if name in chosen and mode not in left_out]
        found[kind] = _kind(kind, entries, jobs, rounds)
    return found


def _kind(kind: str, entries: Sequence[tuple[str, str]], jobs: Sequence[Job], rounds: int) -> dict[str, Any]:
    threads = [count for count in THREADS if count <= len(cores())]
    workers: list[Worker] = []
    timers: dict[Key, Callable[[], float]] = {}
    refused: dict[str, str] = {}
    try:
        for count in threads:
            for name, mode in entries:
                workers.append(Worker(name, mode, kind, count))  # once the last one has nothing to do
                called = label(name, mode)
                for job in jobs:
                    if job.work != "step" and mode not in ("", "compiled"):
                        continue  # each member is scored and drawn from alone, and an optimizer does neither
                    if job.block and name == "flowlab":
                        continue  # which has blocks of its own
                    if _works(workers[-1], job, called, refused):
                        timers[called, job, count] = partial(workers[-1].seconds, job)
        by_job = sorted(timers.items(), key=lambda timer: jobs.index(timer[0][1]))  # rivals side by side
        found = medians(dict(by_job), rounds)
    finally:
        for worker in workers:
            worker.dismiss()
    asked = dict.fromkeys((job.work, job.batch) for job in jobs)
    return {"work": [_work(*each, found) for each in asked], "refused": refused, "threads": threads}


def _works(worker: Worker, job: Job, name: str, refused: dict[str, str]) -> bool:
    """Whether a first call, which may compile, succeeds."""
    try:
        seconds = worker.seconds(job)
    except Refused as reason:
        refused[f"{name}: {job.work} {job.batch or ''}".rstrip()] = str(reason)
        return False
    print(name, *job, f"{1e3 * seconds:.2f} ms", flush=True)
    return True


def _work(work: str, batch: int, found: dict[Key, float]) -> dict[str, Any]:
    """Milliseconds of one kind of work by contender, and ours as a fraction of each."""
    best: dict[str, tuple[float, int]] = {}
    for (name, job, count), seconds in found.items():
        if (job.work, job.batch) == (work, batch):
            best[name] = min((1e3 * seconds, count), best.get(name, (1e3 * seconds, count)))
    ours = best.get("flowlab", (float("nan"), 0))[0]
    rows = {
        name: {"milliseconds": round(value, 4), "threads": count, "flowlab_takes": round(ours / value, 3)}
        for name, (value, count) in best.items()
    }
    return {"work": work, "batch": batch, "contenders": rows}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
