"""A sweep's numbers as tables: of settings and of runs, for files and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.evaluation.meaning import number
from flows.evaluation.plots.style import cut
from flows.evaluation.report import HEADLINES
from flows.evaluation.tabular import aligned, csv_text
from flows.sweeps.record import Record
from flows.sweeps.settings import Setting, Spread, metrics_of, owner

ROWS, COLUMNS, CELL = 20, 3, 28  # most of a terminal's


def settings_csv(settings: Sequence[Setting], keys: Sequence[str], scores: Sequence[str]) -> str:
    """A row a setting: its values, how many runs, and of each score the mean (by its name) and `_se`.

    What belongs to a metric (`nll_floor`) is the mean alone.
    """
    metrics = metrics_of([run for setting in settings for run in setting.done])
    single = [metric for metric in metrics if owner(metric, metrics) is None]
    head = [*keys, "runs", "finished", "failures", "evaluated"]
    head += [name for score in scores for name in (score, f"{score}_se")]
    head += [name for each in metrics for name in ([each, f"{each}_se"] if each in single else [each])]
    rows: list[Sequence[Any]] = [head]
    for setting in settings:
        done = setting.done
        row: list[Any] = [setting.values.get(key, "") for key in keys]
        row += [len(setting.runs), len(done), setting.failures, sum(bool(run.metrics) for run in done)]
        row += [cell for score in scores for cell in _cells(setting.score(score))]
        for metric in metrics:
            row += _cells(setting.metric(metric))[: 2 if metric in single else 1]
        rows.append(row)
    return csv_text(rows)


def runs_csv(runs: Sequence[Record], told: Sequence[dict[str, str]]) -> str:
    """A row a run: what it was told, what became of it, its scores, and why it failed.

    Args:
        runs: In any order.
        told: For each, the values of the same keys.
    """
    metrics = metrics_of(runs)
    keys = list(told[0])
    head = ["run", *keys, "status", "score", "best_validation", "steps", "seconds", "error", *metrics]
    rows: list[Sequence[Any]] = [head]
    for run, values in zip(runs, told, strict=True):
        name, score = run.score or ("", "")
        row = [run.name, *values.values(), run.status, name, score, run.steps, run.seconds, run.error]
        rows.append([*row, *(run.metrics.get(metric, "") for metric in metrics)])
    return csv_text(rows)


def text(settings: Sequence[Setting], keys: Sequence[str], score: str | None) -> str:
    """The best settings for a terminal, columns aligned, with the test metrics that matter most."""
    metrics = metrics_of([run for setting in settings for run in setting.done])
    shown = [metric for metric in HEADLINES if metric in metrics][:COLUMNS]
    lines = [[*keys, "runs", *([score] if score else []), *shown]]
    for setting in settings[:ROWS]:
        counts = f"{len(setting.done)}" + (
            f" of {len(setting.runs)}" if len(setting.done) < len(setting.runs) else ""
        )
        spreads = [*([setting.score(score)] if score else []), *(setting.metric(metric) for metric in shown)]
        lines.append(
            [*(cut(setting.values.get(key, ""), CELL) for key in keys), counts, *map(written, spreads)]
        )
    rest = len(settings) - ROWS
    return aligned(lines, left=len(keys)) + (f"\n… and {rest} more" if rest > 0 else "")


def written(found: Spread | None) -> str:
    """A mean and its standard error as people read them.

    >>> written(Spread(1.25, 0.5)), written(Spread(2.0, None)), written(None)
    ('1.2500 ± 0.5000', '2.0000', '')
    """
    if found is None:
        return ""
    if found.error is None:
        return number(found.mean)
    return f"{number(found.mean)} ± {f'{found.error:#.2g}' if found.error < 0.01 else number(found.error)}"


def _cells(found: Spread | None) -> list[Any]:
    return ["", ""] if found is None else [found.mean, "" if found.error is None else found.error]
