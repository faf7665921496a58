"""How long the command line takes to answer, and packages to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    rows = ((f"`{name}`", f"{value:.2f}") for name, value in results["seconds"].items())
    return ["## Start-up", "", *table(("command", "seconds"), rows), ""]
