"""A step of WGAN-GP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table


def section(result: Mapping[str, Any]) -> list[str]:
    rows = (
        (
            name,
            f"{value:.0f}",
            *(f"{result['parameters'][name][player]:,}" for player in ("model", "critic")),
        )
        for name, value in result["milliseconds"].items()
    )
    return [
        "## A step of WGAN-GP",
        "",
        "One turn of the critic and one of the generator, on 8 fields of 32 × 32 cells, 10 channels given 6,",
        "beside the original's diagonal layers and critic at as many parameters, each at its best thread",
        f"count: {result['flowlab_as_fraction_of_original']:.2f} of its time.",
        "",
        *table(("", "ms a step", "parameters of the generator", "of the critic"), rows),
        "",
    ]
