"""Resident memory at its peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table

WORK = {"step": "a training step", "log_prob": "scoring", "sample": "drawing"}


def section(results: Mapping[str, Any]) -> list[str]:
    """A table for each kind of flow."""
    lines = [
        "## Memory",
        "",
        f"MiB resident at the peak of a call on {results['batch']:,} points, a process of its own for each",
        "number; in brackets what the call adds to the process before it.",
        "",
    ]
    for kind, rows in results["kinds"].items():
        names = dict.fromkeys(row["contender"] for row in rows)
        found = {(row["contender"], row["work"]): row for row in rows}
        head = (kind, *WORK.values())
        lines += [*table(head, ((name, *(_said(found.get((name, w))) for w in WORK)) for name in names)), ""]
    return lines


def _said(row: Mapping[str, Any] | None) -> str:
    return "" if row is None or "refused" in row else f"{row['peak']:,} ({row['added']:,})"
