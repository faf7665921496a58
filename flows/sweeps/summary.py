"""What a sweep's folder says, whoever ran it and however far it came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from flows.errors import UserError
from flows.evaluation.figures import png
from flows.files import write_whole
from flows.sweeps.figure import marginals
from flows.sweeps.page import page
from flows.sweeps.planned import planned
from flows.sweeps.record import Record, by_key, records
from flows.sweeps.settings import SEEDS, Setting, common_score, differences, settings
from flows.sweeps.tables import runs_csv, settings_csv, text

FOLDER = "summary"


class Summary(NamedTuple):
    """The runs of a sweep, put together by setting.

    Args:
        sweep: Its folder.
        runs: All, in the order of their numbers; those that never started too, where the sweep's own file
            lists them.
        told: For each run, what tells it from others: keys and values as text.
        settings: Best first.
        score: The validation score that most runs have, which ranks them.
    """

    sweep: Path
    runs: list[Record]
    told: list[dict[str, str]]
    settings: list[Setting]
    score: str | None

    @classmethod
    def of(cls, sweep: Path) -> Self:
        """Read a sweep's folder.

        Raises: UserError if it isn't a sweep's.
        """
        if not sweep.is_dir():
            raise UserError(f"sweep={sweep}: no such folder")
        if (sweep / "run.json").exists() or (sweep / "config.yaml").exists():
            raise UserError(f"sweep={sweep}: a run's directory, not a sweep's; give run={sweep}")
        runs = records(sweep)
        if not runs:
            raise UserError(f"sweep={sweep}: no runs in it; give the folder that a sweep (train.py -m) wrote")
        runs = _with_planned(runs, planned(sweep))
        score = common_score(runs)
        return cls(sweep, runs, differences(runs), settings(runs, score), score)

    @property
    def keys(self) -> list[str]:
        """What was swept besides seeds."""
        return list(self.settings[0].values)

    def warnings(self) -> list[str]:
        """What a reader must know first."""
        lines = []
        failed = sum(run.failed for run in self.runs)
        rest = sum(not run.done and not run.failed for run in self.runs)
        if failed:
            lines.append(f"{failed} of {len(self.runs)} runs failed: means are those of the others")
        if rest:
            lines.append(f"{rest} of {len(self.runs)} runs aren't done: means are those of the others")
        lost = [run.name for run in self.runs if run.done and math.isnan(run.metrics.get("nll", 0.0))]
        if lost:
            lines.append(
                f"nll isn't finite in runs {', '.join(lost)}, which give some test points no likelihood: nor "
                "is the mean of their settings"
            )
        stale = [run.name for run in self.runs if run.stale]
        if stale:
            lines.append(
                f"trained on since they were measured: runs {', '.join(stale)}; evaluate_missing=true"
            )
        others = {run.score[0] for run in self.runs if run.score} - {self.score}
        if others:
            lines.append(
                f"some runs have no {self.score} but {', '.join(sorted(others))}, which doesn't compare"
            )
        return lines

    def write(self) -> Path:
        """Write summary.csv, runs.csv, marginals.png and summary.html; the folder they are in.

        Raises: OSError if they can't be written.
        """
        folder = self.sweep / FOLDER
        scores = dict.fromkeys(run.score[0] for run in self.runs if run.score)
        write_whole(folder / "summary.csv", settings_csv(self.settings, self.keys, [*scores]))
        write_whole(folder / "runs.csv", runs_csv(self.runs, self.told))
        points = [
            (told, run.score[1])
            for run, told in zip(self.runs, self.told, strict=True)
            if run.done and run.score and run.score[0] == self.score
        ]
        keys = self.keys or [key for key in self.told[0] if key in SEEDS]
        figure = marginals(points, keys, self.score or "") if points and keys else None
        if figure is not None:
            write_whole(folder / "marginals.png", png(figure))
        html = page(self.sweep, self.settings, self.runs, self.told, self.score, figure, self.warnings())
        write_whole(folder / "summary.html", html)
        return folder

    def __str__(self) -> str:
        return text(self.settings, self.keys, self.score)


def _with_planned(runs: Sequence[Record], jobs: Sequence[Sequence[str]]) -> list[Record]:
    """These runs, and after them the jobs that left no folder."""
    there = {run.name for run in runs}
    absent = [(str(k), job) for k, job in enumerate(jobs) if str(k) not in there]
    return [*runs, *(Record(name, by_key(list(job)), {}, "not started") for name, job in absent)]
