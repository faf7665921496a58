"""One run of a sweep as its folder tells it, however far it came: files are read, and none is trusted."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from flows.errors import UserError
from flows.files import read_bounded
from flows.sweeps.job import ERROR, OVERRIDES
from flows.training import table
from flows.training.config_diff import flatten
from flows.training.written import content

LARGEST = 1e100  # number that is taken for measured; squares of much larger ones overflow
REASON = 2**20  # most bytes of error.txt, with a traceback
DONE = ("finished", "stopped early")
_UNFINISHED = ("running", "interrupted", "not started")
_MARKS = {OVERRIDES, ERROR, "config.yaml", "run.json"}


class Record(NamedTuple):
    """What became of a job.

    Args:
        name: Its folder, below the sweep's.
        told: Its overrides by key, None where it left no note of them.
        config: Its whole configuration by dotted key; empty where it came to none.
        status: As training left it; `failed` if it did otherwise, `not started` if there is no run.
        error: The first line of what it failed of, or nothing.
        score: Name and best value of the validation score that early stopping watches.
        metrics: What `evaluate.py` measured; NaN where that wasn't finite.
        seconds: Spent on training.
        steps: Taken.
        stale: Whether it was trained on after it was measured.
    """

    name: str
    told: Mapping[str, str] | None
    config: Mapping[str, Any]
    status: str
    error: str = ""
    score: tuple[str, float] | None = None
    metrics: Mapping[str, float] = {}
    seconds: float | None = None
    steps: int | None = None
    stale: bool = False

    @property
    def done(self) -> bool:
        """Whether its numbers are those of a finished model."""
        return not self.error and self.status in DONE

    @property
    def failed(self) -> bool:
        return not self.done and (bool(self.error) or self.status not in _UNFINISHED)


def records(sweep: Path) -> list[Record]:
    """Every run below a folder, in the order of their numbers."""
    return [record(sweep / name, name) for name in sorted(_names(sweep), key=_natural)]


def _names(sweep: Path) -> Iterator[str]:
    for folder, inner, files in os.walk(sweep):
        if Path(folder) != sweep and _MARKS & {*files}:
            inner.clear()  # not into a run's own folders
            yield os.path.relpath(folder, sweep)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """A key to sort by, so that 10 comes after 9."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in Path(name).parts]


def record(folder: Path, name: str) -> Record:
    """Read a folder whose files may be missing, cut short, or anyone's."""
    facts = _mapping(folder / "run.json")
    status = facts.get("status")
    error = _error(folder / ERROR)
    if not isinstance(status, str):
        status = "not started"
    if error and status != "diverged":
        status = "failed"
    seconds, steps = facts.get("seconds"), facts.get("step")
    measured = folder / "evaluation" / "metrics.json"
    return Record(
        name,
        _told(folder / OVERRIDES),
        _flat(folder / "config.yaml"),
        status,
        error,
        _best(folder / "metrics.csv"),
        _metrics(measured),
        float(seconds) if _finite(seconds) else None,
        int(steps) if _finite(steps) else None,
        _newer(folder / "run.json", measured),
    )


def by_key(overrides: list[Any]) -> dict[str, str]:
    """Overrides as keys and the text of their values.

    >>> by_key(["+model.width=8", "~dataset.noise", "seed=1"])
    {'model.width': '8', 'dataset.noise': '', 'seed': '1'}
    """
    pairs = (str(override).partition("=") for override in overrides)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _content(path: Path) -> Any:
    try:
        return content(path)
    except UserError:
        return None


def _told(path: Path) -> dict[str, str] | None:
    found = _content(path)
    return by_key(found) if isinstance(found, list) else None


def _mapping(path: Path) -> dict[str, Any]:
    found = _content(path)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _flat(path: Path) -> dict[str, Any]:
    return flatten(_named(_mapping(path)))


def _named(node: Any) -> Any:
    """The same, with text for keys."""
    return {str(key): _named(value) for key, value in node.items()} if isinstance(node, dict) else node


def _error(path: Path) -> str:
    try:
        return next(iter(read_bounded(path, REASON).decode().splitlines()), "") or "no reason given"
    except (OSError, ValueError):
        return ""


def _best(path: Path) -> tuple[str, float] | None:
    """The first of the validation scores, where it was lowest."""
    try:
        rows = table.read(path) if path.is_file() else []
    except (OSError, ValueError, csv.Error):
        return None
    name = next((name for name in (rows[0] if rows else ()) if str(name).startswith("val_")), None)
    values = [_number(row[name]) for row in rows] if name else []
    there = [value for value in values if value is not None]
    return (str(name), min(there)) if there else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if _finite(value) else None


def _finite(value: Any) -> TypeGuard[int | float]:
    """Whether it is a number that arithmetic can go on with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _metrics(path: Path) -> dict[str, float]:
    """Numbers by name; null, which stands for what isn't finite, as NaN, so that no mean leaves it out."""
    found = _mapping(path)
    return {
        key: float("nan") if value is None else float(value)
        for key, value in found.items()
        if value is None or _finite(value)
    }


def _newer(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_mtime_ns > other.stat().st_mtime_ns
    except OSError:
        return False
