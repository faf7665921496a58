"""A sweep as one HTML file, in the look of a run's report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.evaluation.meaning import listed, number
from flows.evaluation.report import Picture, Step, render, svg
from flows.sweeps.record import Record
from flows.sweeps.settings import Setting, metrics_of, owner
from flows.sweeps.tables import written
from flows.training.outcome import override

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOLD = ("floor", "floor_99", "exact", "train", "climatology", "interpolation")
_COUNTS = ("test_points", "cases")
_CAPTION = (
    "Best validation of every run that finished, grey, over each key that was swept; in blue mean ± standard "
    "error of the runs that share a value, whatever else they were told."
)


def page(
    sweep: Path,
    settings: Sequence[Setting],
    runs: Sequence[Record],
    told: Sequence[Mapping[str, str]],
    score: str | None,
    figure: Figure | None,
    warnings: Sequence[str],
) -> str:
    """The page of a sweep.

    Args:
        sweep: Its folder.
        settings: Best first.
        runs: All, in their order.
        told: For each run, what tells it from others.
        score: The one that settings are ranked by.
        figure: Marginals, if there are any.
        warnings: What a reader must know first.
    """
    metrics = metrics_of([run for setting in settings for run in setting.done])
    own = [metric for metric in metrics if owner(metric, metrics) is None and metric not in _COUNTS]
    single = listed(own)
    title = f"{score}, by what was swept"
    lines = [_run(run, values) for run, values in zip(runs, told, strict=True)]
    return render(
        "sweep.html.j2",
        "flows.sweeps",
        name=sweep.resolve().name,
        summary=_summary(settings, runs),
        warnings=warnings,
        pictures=[] if figure is None else [Picture(title, svg(figure, title), _CAPTION, True)],
        keys=list(settings[0].values),
        score=score,
        metrics=single,
        settings=[_setting(setting, score, single, metrics) for setting in settings],
        failures=[line for line, run in zip(lines, runs, strict=True) if run.failed],
        runs=lines,
        steps=_steps(sweep),
    )


def _summary(settings: Sequence[Setting], runs: Sequence[Record]) -> str:
    done, failed = sum(run.done for run in runs), sum(run.failed for run in runs)
    counts = [f"{len(runs)} runs of {len(settings)} settings", f"{done} finished", f"{failed} failed"]
    rest = len(runs) - done - failed
    return " · ".join(counts + ([f"{rest} not done"] if rest else []))


def _setting(
    setting: Setting, score: str | None, single: Sequence[str], metrics: Sequence[str]
) -> dict[str, Any]:
    return {
        "name": " ".join(f"{key}={value}" for key, value in setting.values.items()) or "all runs",
        "runs": len(setting.runs),
        "done": len(setting.done),
        "failures": setting.failures,
        "score": written(setting.score(score)) if score else "",
        "metrics": [
            {"value": written(setting.metric(name)), "parts": _parts(setting, name, metrics)}
            for name in single
        ],
    }


def _parts(setting: Setting, name: str, metrics: Sequence[str]) -> list[str]:
    """Means of what belongs to a metric: its floor, the exact value, other references."""
    found = {part: setting.metric(f"{name}_{part}") for part in _TOLD if f"{name}_{part}" in metrics}
    return [f"{part.replace('_', ' ')} {number(each.mean)}" for part, each in found.items() if each]


def _run(run: Record, told: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": run.name,
        "told": " ".join(f"{key}={value}" for key, value in told.items()),
        "status": run.status,
        "score": number(run.score[1]) if run.score else "",
        "steps": "" if run.steps is None else f"{run.steps:,}",
        "seconds": "" if run.seconds is None else f"{run.seconds:,.1f}",
        "error": run.error,
    }


def _steps(sweep: Path) -> list[Step]:
    """Commands to paste: none is taken from the runs' files, which may be anyone's."""
    program, where = ["python", "evaluate.py"], override("sweep", str(sweep))
    return [
        Step(
            "Measure the runs that haven't been, and put together",
            shlex.join([*program, where, "evaluate_missing=true"]),
        ),
        Step("Look at the curves", shlex.join(["tensorboard", "--logdir", str(sweep)])),
    ]
