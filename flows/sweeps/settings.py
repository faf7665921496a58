"""Runs that differ in their seeds alone, put together."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flows.evaluation.meaning import PARTS
from flows.sweeps.record import Record
from flows.training.config_diff import is_free
from flows.wording import show

SEEDS = ("seed", "dataset.seed")


class Spread(NamedTuple):
    """Mean over runs, and its standard error where there are two at least."""

    mean: float
    error: float | None


class Setting(NamedTuple):
    """The runs that were told the same but for their seeds.

    Args:
        values: By key, as text.
        runs: All of them, those that failed too.
    """

    values: Mapping[str, str]
    runs: Sequence[Record]

    @property
    def done(self) -> list[Record]:
        return [run for run in self.runs if run.done]

    @property
    def failures(self) -> int:
        return sum(run.failed for run in self.runs)

    def score(self, name: str) -> Spread | None:
        """Best validation, over the runs that finished."""
        return spread(run.score[1] for run in self.done if run.score and run.score[0] == name)

    def metric(self, name: str) -> Spread | None:
        """A test metric, over the runs that finished and were measured."""
        return spread(run.metrics[name] for run in self.done if name in run.metrics)


def spread(values: Iterable[float]) -> Spread | None:
    """Mean and standard error; None of no values, NaN where one of them isn't finite.

    >>> spread([1.0, 3.0])
    Spread(mean=2.0, error=1.0)
    """
    numbers = list(values)
    if not numbers:
        return None
    if not all(map(math.isfinite, numbers)):
        return Spread(math.nan, None)
    error = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else None
    return Spread(statistics.fmean(numbers), error)


def differences(runs: Sequence[Record]) -> list[dict[str, str]]:
    """For each run, the keys in which any two differ, seeds among them, and its values as text.

    Uses the overrides that each run was given, or whole configurations if any run left no record of them. In
    these, if runs built different things (say, two models), the thing's name replaces its arguments; an
    argument is listed only if it varies among runs that built the same thing.
    """
    told = [run.told for run in runs]
    given = [_shown(each) for each in told if each is not None]
    if len(given) < len(runs):
        given = _by_configuration(runs)
    keys = dict.fromkeys(key for each in given for key in each if not is_free(key))
    vary = [key for key in keys if len({each.get(key) for each in given}) > 1]
    return [{key: each.get(key, "") for key in vary} for each in given]


def settings(runs: Sequence[Record], score: str | None) -> list[Setting]:
    """Group runs by all in which they differ but seeds; the best mean first, those without one last."""
    groups: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for run, values in zip(runs, differences(runs), strict=True):
        groups.setdefault(tuple((k, v) for k, v in values.items() if k not in SEEDS), []).append(run)
    found = [Setting(dict(values), some) for values, some in groups.items()]
    return sorted(found, key=lambda setting: _rank(setting.score(score) if score else None))


def common_score(runs: Sequence[Record]) -> str | None:
    """The validation score that most runs have."""
    names = Counter(run.score[0] for run in runs if run.score)
    return names.most_common(1)[0][0] if names else None


def metrics_of(runs: Sequence[Record]) -> list[str]:
    """Test metrics that any run has, in the order they were measured."""
    return list(dict.fromkeys(key for run in runs for key in run.metrics))


def owner(metric: str, metrics: Sequence[str]) -> str | None:
    """The metric that this one is a part of: the floor of one, or a bound of its interval.

    >>> owner("nll_floor", ["nll", "nll_floor"]), owner("nll", ["nll"])
    ('nll', None)
    """
    whole = (metric.removesuffix(f"_{part}") for part in PARTS if metric.endswith(f"_{part}"))
    return next((name for name in whole if name in metrics), None)


def _rank(score: Spread | None) -> float:
    return math.inf if score is None else score.mean


def _shown(told: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in told.items() if not key.startswith("hydra")}


def _by_configuration(runs: Sequence[Record]) -> list[dict[str, str]]:
    """What configurations say, as text, of runs that have one; of others what they were told."""
    given = [_text(run.config) if run.config else dict(run.told or {}) for run in runs]
    for target in sorted({key for each in given for key in each if key.endswith("._target_")}):
        group = target.removesuffix("_target_")
        names = {each.get(target) for each in given if any(key.startswith(group) for key in each)}
        if len(names) > 1:
            _keep_what_varies(given, target, group)
    return given


def _keep_what_varies(given: list[dict[str, str]], target: str, group: str) -> None:
    """Drop a group's arguments that are the same in all runs that build the same; name what they build."""
    keys = {key for each in given for key in each if key.startswith(group) and key != target}
    for key in keys:
        alike: dict[str | None, set[str | None]] = {}
        for each in given:
            alike.setdefault(each.get(target), set()).add(each.get(key))
        if all(len(values) == 1 for values in alike.values()):
            for each in given:
                each.pop(key, None)
    for each in given:
        if target in each:
            each[group.rstrip(".")] = each.pop(target).rpartition(".")[2]


def _text(config: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else show(value) for key, value in config.items()}
