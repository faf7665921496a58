"""Points of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table

PICTURES = {
    "pi": "the drawn π, of known law",
    "china": "scikit-learn's china.jpg",
    "flower": "scikit-learn's flower.jpg",
    "hopper": "matplotlib's grace_hopper.jpg",
}


def section(results: Mapping[str, Any]) -> list[str]:
    """A table for each picture."""
    rows: list[Mapping[str, Any]] = results["medians"]
    lines = [
        "## Points of pictures",
        "",
        "5,000 points (x, y, r, g, b), 3,500 to train on, 500 to validate, 1,000 to test; medians over",
        "seeds, each of weights and data alike. NLL is in nats and data units; W1 the mean over",
        "coordinates. MMD, KL and W1 compare 1,000 draws with the test points, means over 3, 9 and 9",
        "times; in brackets what other real points reach. Every run is in",
        "`benchmarks/results/points_runs.json`.",
        "",
    ]
    for picture, told in PICTURES.items():
        lines += [f"### {picture}: {told}", ""]
        head = ("", "seeds", "training", "NLL", "above the truth", "MMD", "KL x", "KL y", "W1")
        here = [row for row in rows if row["picture"] == picture]
        lines += [*table(head, (_line(row) for row in here)), ""]
        for row in here:
            lines += _besides(row)
    return lines


def _besides(row: Mapping[str, Any]) -> list[str]:
    """What the table has no column for."""
    said = []
    if row.get("nll_order_spread") is not None:
        said.append(f"the best and the worst of all 120 orders differ by {row['nll_order_spread']:.2f} nats")
    if row.get("colour_gap") is not None:
        said.append(f"of colours at a place {row['colour_gap']:.3f} nats are lost")
    return [f"- {row['contender']}: {'; '.join(said)}.", ""] if said else []


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    def beside(key: str, digits: int) -> str:
        floor = row.get(f"{key}_floor")
        return f"{row[key]:.{digits}f}" + ("" if floor is None else f" ({floor:.{digits}f})")

    nll, gap = row.get("nll"), row.get("kl_to_truth")
    return (
        row["contender"],
        str(row["seeds"]),
        f"{row['seconds']:.0f} s",
        "none" if nll is None else f"{nll:.3f}",
        "" if gap is None else f"{gap:.3f}",
        beside("mmd", 4),
        *(beside(key, 3) for key in ("kl_x", "kl_y", "w1_mean")),
    )
