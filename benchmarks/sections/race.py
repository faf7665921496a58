"""Seconds to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    rows = [row for row in results["medians"] if row["seeds"]]
    targets = [*rows[0]["seconds"]]
    lines = (
        (
            *(row["contender"], f"{row['kind']}, {row['lr']:g}", str(row["seeds"])),
            *(_said(row["seconds"][target]) for target in targets),
        )
        for row in rows
    )
    chosen = "Each contender chose its flow and its learning rate among six settings, on other seeds."
    return [
        "## A race to the truth",
        "",
        "Seconds from the start of the process, imports and data included and all caches cold, until",
        "KL(truth ‖ model) on the 20,000 test points of two moons passes: for each seed the smallest budget",
        "of steps that does. Medians over seeds. Who isn't listed hasn't been measured yet.",
        chosen if results["tuned"] else "Nothing is tuned yet.",
        "Every run is in `benchmarks/results/race_runs.json`. flowlab's mixtures came into the choice",
        "after a first measurement of these seeds with splines (0.02 after 15.5 s, 0.01 after 31.0 s), and",
        "were timed twice: before imports became fewer it was 13.4 s and 16.8 s.",
        "",
        *table(("", "flow, learning rate", "seeds", *(f"KL {target}" for target in targets)), lines),
        "",
    ]


def _said(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"
