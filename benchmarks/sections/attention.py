"""The masked transformer and its matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    times, ratios = results["milliseconds"], results["ratio"]
    rows = (
        (label, f"{times[key]:.0f}", f"{times[f'{key}, products']:.0f}", f"{ratios[key]:.2f}")
        for key, label in (("step", "a training step"), ("draws", "5,000 draws"))
    )
    return [
        "## The masked transformer and its matrix products",
        "",
        "The default model on points of five features, batch 256, one thread. Ours trains (dropout,",
        "clipping, averaging, guard, AdamW) and draws; the products are those of the same shapes alone.",
        "",
        *table(("", "ms", "products, ms", "ratio"), rows),
        "",
    ]
