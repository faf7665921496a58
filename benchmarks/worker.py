"""Contenders in processes of their own, each on so many cores, which time what they are told to.

So none meets another's threads, allocator or compiler, and flowjax doesn't meet torch at all.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.contenders import build
from benchmarks.contenders.architecture import ARCHITECTURES, Architecture
from benchmarks.contenders.contender import Contender, Work

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0  # seconds of a first call, compiling included
SHARE = 0.25  # seconds that a timing fills, if a call isn't longer


class Job(NamedTuple):
    """A piece of work: a training step, or scoring or drawing so many points, all at once or in blocks."""

    work: Literal["step", "log_prob", "sample"]
    batch: int = 0  # 0 for the step's own
    block: int = 0  # 0 for all at once


class Refused(Exception):
    """Why a contender can't do it."""


class Worker:
    """A contender's process, as its employer sees it.

    Args:
        name: Of CONTENDERS.
        mode: One of its modes.
        kind: Of ARCHITECTURES.
        threads: Cores, of those that this process may use.
        batch: Of the training step, if not the architecture's.
    """

    def __init__(self, name: str, mode: str, kind: str, threads: int = 1, batch: int = 0) -> None:
        told = json.dumps([name, mode, kind, threads, batch])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", told],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def seconds(self, job: Job) -> float:
        """Seconds that one call takes, after a first.

        Raises: Refused if it fails, or takes longer than anybody would wait.
        """
        return self._ask("time", job)["seconds"]

    def memory(self, job: Job) -> dict[str, float]:
        """MiB resident at the peak of one call, and how much of that the call added.

        Raises: Refused if it fails.
        """
        return self._ask("remember", job)

    def _ask(self, what: str, job: Job) -> dict[str, Any]:
        ask, answer = self.process.stdin, self.process.stdout
        assert ask is not None
        assert answer is not None
        try:
            print(json.dumps([what, job]), file=ask, flush=True)
            there, _, _ = select.select([answer], [], [], PATIENCE)
            if not there:
                self.process.kill()
                raise Refused(f"no answer within {PATIENCE:.0f} s")
            line = answer.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Refused("its process has ended")
        found = json.loads(line)
        if "refused" in found:
            raise Refused(found["refused"])
        return found

    def dismiss(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def employed(*args: Any, **options: Any) -> Iterator[Worker]:
    """A worker, dismissed in the end."""
    worker = Worker(*args, **options)
    try:
        yield worker
    finally:
        worker.dismiss()


def cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))


def _answer(contender: Contender, architecture: Architecture, what: str, job: Job) -> dict[str, float]:
    work = _work(contender, architecture, job)
    if what == "remember":
        return _remember(work, contender.wait)
    return {"seconds": _time(work, contender.wait) / contender.members}


def _work(contender: Contender, architecture: Architecture, job: Job) -> Work:
    if job.work == "step":
        return contender.step
    block = job.block or job.batch
    if job.work == "sample":
        works = [contender.sample(min(block, job.batch - start)) for start in range(0, job.batch, block)]
    else:
        data = architecture.data(job.batch)
        works = [contender.log_prob(data[start : start + block]) for start in range(0, job.batch, block)]
    return works[0] if len(works) == 1 else lambda: [work() for work in works]


def _time(work: Work, wait: Callable[[object], object]) -> float:
    """Seconds a call, over as many as fill the share."""
    wait(work())
    begin = time.perf_counter()
    wait(work())
    calls = max(1, round(SHARE / (time.perf_counter() - begin)))
    begin = time.perf_counter()
    for _ in range(calls):
        result = work()
    wait(result)
    return (time.perf_counter() - begin) / calls


def _remember(work: Work, wait: Callable[[object], object]) -> dict[str, float]:
    before = _resident("VmRSS")
    wait(work())  # which may compile, in more memory than it needs from then on
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    wait(work())
    peak = _resident("VmHWM")
    return {"peak": peak, "added": peak - before}


def _resident(line: str) -> float:
    """MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(text.split()[1]) / 1024 for text in status if text.startswith(line))


def main(told: str) -> None:
    name, mode, kind, threads, batch = json.loads(told)
    os.sched_setaffinity(0, cores()[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints is no answer
    architecture = ARCHITECTURES[kind]
    architecture = architecture._replace(batch=batch or architecture.batch)
    try:
        if name != "flowjax":
            import torch

            torch.set_num_threads(threads)
        contender = build(name, architecture, mode)
    except Exception as error:
        print(json.dumps({"refused": _said(error)}), file=answers, flush=True)
        return
    for line in sys.stdin:
        what, job = json.loads(line)
        try:
            found = _answer(contender, architecture, what, Job(*job))
        except Exception as error:  # whatever a compiler may raise
            found = {"refused": _said(error)}
        print(json.dumps(found), file=answers, flush=True)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]


if __name__ == "__main__":
    main(sys.argv[1])
