"""`python evaluate.py sweep=DIR`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from flows.config import check_keys
from flows.errors import UserError
from flows.sweeps.summary import Summary


class _Given(TypedDict):
    sweep: str
    evaluate_missing: bool


def put_together(
    sweep: Any, evaluate_missing: Any, config: Mapping[str, Any], perform: Callable[[dict[str, Any]], None]
) -> None:
    """Write and print a sweep's summary.

    Args:
        sweep: The sweep's folder.
        evaluate_missing: Whether to measure first the finished runs that haven't been since.
        config: The other keys of `evaluate.py`, for these measurements; `mixture` lays the mean of the runs'
            densities beside them.
        perform: Does one.

    Raises: UserError if it is no sweep's folder, or another task is asked for.
    """
    if sweep is None:
        raise UserError("evaluate_missing=true: goes with sweep=DIR, a sweep's folder")
    check_keys({"sweep": sweep, "evaluate_missing": evaluate_missing}, _Given)
    others = {"task": "report", "run": "latest", "runs": None, "output": None}
    for key, alone in others.items():
        if config.get(key, alone) != alone:
            raise UserError(
                f"sweep={sweep}: goes without {key}={config[key]}; a sweep is put together, no more"
            )
    summary = Summary.of(Path(sweep))
    if evaluate_missing:
        _measure(summary, dict(config), perform)
        summary = Summary.of(Path(sweep))
    try:
        folder = summary.write()
    except OSError as error:
        raise UserError(f"sweep={sweep}: its summary can't be written ({error.strerror})") from error
    print(f"{summary}\n\nsummary: {folder}")
    for line in summary.warnings():
        print(f"warning: {line}", file=sys.stderr)
    if config.get("mixture"):
        done = [str(summary.sweep / run.name) for run in summary.runs if run.done]
        if not done:
            raise UserError(f"sweep={sweep}: none of its runs is done, so there is no mixture of them")
        perform({**config, "runs": done, "output": str(folder / "mixture")})


def _measure(summary: Summary, config: dict[str, Any], perform: Callable[[dict[str, Any]], None]) -> None:
    for run in summary.runs:
        if run.done and (run.stale or not run.metrics):
            print(f"#{run.name}", flush=True)
            try:
                perform({**config, "mixture": False, "run": str(summary.sweep / run.name)})
            except Exception as error:  # the others are measured all the same
                said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                print(f"warning: run {run.name}: {said}", file=sys.stderr)
