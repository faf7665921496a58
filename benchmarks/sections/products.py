"""Whole experiments and their matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table

WORK = {
    "step": ("a training step", "step, products"),
    "step, compiled": ("the same, compiled", "step, products"),
    "draws": ("drawing", "draws, products"),
}


def section(results: Mapping[str, Any]) -> list[str]:
    """Each kind of work beside the products that it calls."""
    rows = (
        (f"{name}: {told}", f"{found[work]:.1f}", f"{found[limit]:.1f}", f"{found[work] / found[limit]:.2f}")
        for name, found in results.items()
        for work, (told, limit) in WORK.items()
        if work in found
    )
    return [
        "## Whole experiments and their matrix products",
        "",
        "The experiments `xyrgb_transformer`, `xyrgb_mixture` and `grf_likelihood` as they are, one thread.",
        "Ours trains (dropout, clipping, averaging, guard, AdamW, at the experiment's batch size) and draws",
        "5,000 points, or a field for each of 16 contexts; the products and convolutions are those that it",
        "was seen to call, called again alone.",
        "",
        *table(("", "ms", "products, ms", "ratio"), rows),
        "",
    ]
