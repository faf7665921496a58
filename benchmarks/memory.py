"""Resident memory at its peak, of a training step, scoring and drawing at a batch of 65,536.

Each in a process of its own, on one thread: all of it, and what the call adds to a process that is ready.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders import CONTENDERS, label, listed
from benchmarks.contenders.architecture import ARCHITECTURES
from benchmarks.worker import Job, Refused, employed

BATCH = 65_536
JOBS = [Job("step"), Job("log_prob", BATCH), Job("sample", BATCH)]


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """For each kind of flow: MiB by work and contender."""
    flows = [name for name in CONTENDERS if name != "matrix products"]
    chosen = [name for name in flows if name in names] or flows
    found: dict[str, Any] = {}
    for kind, architecture in ARCHITECTURES.items():
        rows = found[kind] = []
        for name, mode in listed(architecture):
            if name in chosen and mode != "fused Adam":  # which is as large as without
                for job in JOBS:
                    rows.append(
                        {"contender": label(name, mode), "work": job.work} | _peak(name, mode, kind, job)
                    )
                    print(kind, rows[-1], flush=True)
    return {"batch": BATCH, "kinds": found}


def _peak(name: str, mode: str, kind: str, job: Job) -> dict[str, Any]:
    with employed(name, mode, kind, batch=BATCH) as worker:
        try:
            return {key: round(value) for key, value in worker.memory(job).items()}
        except Refused as reason:
            return {"refused": str(reason)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
