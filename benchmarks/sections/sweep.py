"""What a sweep costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    seeds = results["seeds"]
    lines = [
        "## A sweep",
        "",
        f"Seconds by the clock of whole commands of {results['steps']:,} steps, from the start of the",
        f"process to the summary: one run, and {seeds} seeds under each launcher. Medians of",
        f"{results['rounds']} rounds; compiling has a warm cache but in the first. In brackets, what a seed",
        "takes of one run's time.",
        "",
    ]
    models = results["seconds"]
    ways = [*next(iter(models.values()))]
    rows = ((way, *(_said(seconds, way, seeds) for seconds in models.values())) for way in ways)
    return [*lines, *table(("", *models), rows), ""]


def _said(seconds: Mapping[str, float], way: str, seeds: int) -> str:
    alone = seconds["one run"]
    share = "" if way == "one run" else f" ({seconds[way] / seeds / alone:.2f})"
    return f"{seconds[way]:.1f}{share}"
