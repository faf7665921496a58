"""Kill runs without warning, many times, at random moments: python -m tests.reliability.torture

Each run is killed, looked at and carried on until it has been killed often enough, then finished, and held
against one that was never killed, to the last bit. Moments are drawn from a seed; what a run is at then, the
machine has a say in. Leaves 1 if anything differs or can't be read.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple

from flows.training import checkpoint
from tests.reliability.lives import Life, live
from tests.reliability.runs import KINDS, differences, finite, increasing, step

OFTEN = ("trainer.checkpoint_every=3", "trainer.validate_every=5", "logger.log_every=4")
BEGINNING = 0.5  # of the moments lie within this share of a life that nothing ends, where files are claimed


class Figures(NamedTuple):
    """What came of the kills of a kind of run; as text, a row of a table.

    Args:
        kind: Which.
        kills: Lives that were ended.
        resumes: Of which some step was left, which the next carried on from.
        redone: Steps that were taken more than once.
        mismatches: Runs that ended otherwise than one never killed.
        unreadable: Run directories in which no whole checkpoint was found after one had been, or in which
            TensorBoard's curves go back.
    """

    kind: str
    kills: int = 0
    resumes: int = 0
    redone: int = 0
    mismatches: int = 0
    unreadable: int = 0

    def __add__(self, other: tuple[object, ...]) -> Figures:
        return Figures(self.kind, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    def __str__(self) -> str:
        return f"{self.kind:20}" + "".join(f"{number:>12,}" for number in self[1:])


def main() -> int:
    """Torture each kind of run; the program's status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60, help="of each kind of run")
    parser.add_argument("--per-run", type=int, default=10, help="kills of one run, before it is finished")
    parser.add_argument("--steps", type=int, default=90, help="of one run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*KINDS])
    given = parser.parse_args()
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of each resume
    print(f"{'':20}" + "".join(f"{name:>12}" for name in Figures._fields[1:]), flush=True)
    total = Figures("all")
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.kinds:
            figures = torture(kind, Path(folder), given.kills, given.per_run, given.steps, given.seed)
            print(figures, flush=True)
            total += figures
    print(total)
    return int(total.mismatches + total.unreadable > 0)


def torture(kind: str, folder: Path, kills: int, per_run: int, steps: int, seed: int) -> Figures:
    """Kill runs of a kind so many times in all."""
    moments = random.Random(f"{kind} {seed}")
    arguments = (*KINDS[kind], *OFTEN, f"trainer.max_steps={steps}")
    live(*arguments, f"run_dir={kind}-warm", cwd=folder)  # what only the first life pays for
    begin = time.monotonic()
    done = live(*arguments, f"run_dir={kind}", cwd=folder)
    assert done.status == 0, done.err
    whole, usual = folder / kind, time.monotonic() - begin
    figures, number = Figures(kind), 0
    while figures.kills < kills:
        number += 1
        run = folder / f"{kind}-{number}"
        some = min(per_run, kills - figures.kills)
        figures += _tortured((*arguments, f"run_dir={run.name}"), run, whole, some, usual, moments)
    return figures


def _tortured(
    arguments: tuple[str, ...], run: Path, whole: Path, kills: int, usual: float, moments: random.Random
) -> Figures:
    """Kill one run so many times, finish it, and hold it against one that is whole."""
    figures, reached = Figures(run.name), 0
    while figures.kills < kills:
        life = Life(arguments, run.parent)
        time.sleep(usual * moments.uniform(0.2, 1.0) * (BEGINNING if moments.random() < BEGINNING else 1.0))
        before = _noted(run)
        life.tell(SIGKILL)
        end = life.end()
        if end.status != -SIGKILL:
            if end.status != 0:
                _say(run, end.err)
                return figures + Figures("", mismatches=1)
            break  # it was faster
        left = step(run)
        figures += Figures("", kills=1, resumes=int(left > 0), redone=max(0, before - left))
        figures += Figures("", unreadable=int(not _readable(run, left, reached)))
        reached = max(reached, left)
    end = live(*arguments, cwd=run.parent)
    found = differences(run, whole) if end.status == 0 else [end.err]
    if not increasing(run):
        found.append("curves go back")
    if found:
        _say(run, "; ".join(found))
    return figures + Figures("", mismatches=int(bool(found)))


def _noted(run: Path) -> int:
    """The last step that a run has told of, which it has reached at least."""
    try:
        lines = (run / "metrics.csv").read_text().splitlines()
        return max((int(line.partition(",")[0]) for line in lines[1:] if line), default=0)
    except (FileNotFoundError, ValueError):
        return 0


def _readable(run: Path, left: int, reached: int) -> bool:
    """Whether the newest whole checkpoint is no older than one seen before, and all its numbers finite."""
    sound = left >= reached and (left == 0 or finite(checkpoint.newest(run / "checkpoints" / "last") or run))
    if not sound:
        _say(run, f"at step {left} after {reached}")
    return sound


def _say(run: Path, what: str) -> None:
    print(f"{run.name}: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
