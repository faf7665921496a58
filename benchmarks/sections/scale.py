"""A step as a table grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    rows = (
        (way, f"{found['ms_a_step']:.1f}", f"{found['cpu_ms_a_step']:.1f}", f"{found['peak_gb']:.2f}")
        for way, found in results["medians"].items()
    )
    return [
        "## Tables larger than memory",
        "",
        "The default run on tables of five float32 columns, up to 2 GB, from a cold page cache; medians of",
        f"{results['rounds']} rounds in turns. What is read ahead is counted four times over.",
        "",
        *table(("table", "ms a step", "of the processor", "GB at the peak, all told"), rows),
        "",
    ]
