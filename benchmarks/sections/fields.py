"""Fields of known law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.table import table

FIELDS = {
    "easy": "32 × 32 cells, ν = 1, means of 4 × 4 cells seen",
    "hard": "ν = 1.5, means of 8 × 8 cells seen",
    "small": "as easy, 8 × 8 cells",
    "warped": "as easy, each cell then through sinh(asinh(x) + 1)",
}


def section(results: Mapping[str, Any]) -> list[str]:
    """A table of likelihoods, one of ensembles."""
    rows: list[Mapping[str, Any]] = results["medians"]
    head = ("fields", "contender", "seeds", "training", "steps", "NLL a cell", "above the law", "worst seed")
    gaps = (
        (
            *(row["setting"], row["contender"], str(row["seeds"]), f"{row['seconds']:.0f} s"),
            *(f"{row['steps']:,.0f}", f"{row['nll_per_dim']:.4f}"),
            *(f"{row[key]:.4f}" for key in ("nll_gap", "nll_gap_worst")),
        )
        for row in rows
    )
    judged = (
        "fields",
        "contender",
        "CRPS above the law's",
        "spread–skill (99 % of the law's)",
        "spectrum, dB",
    )
    scores = (
        (
            *(row["setting"], row["contender"], f"{100 * (row['crps'] / row['crps_exact'] - 1):.2f} %"),
            f"{row['spread_skill']:.3f} "
            f"({row['spread_skill_exact_low']:.3f} – {row['spread_skill_exact_high']:.3f})",
            f"{row['log_spectral_distance']:.2f} ({row['log_spectral_distance_exact']:.2f})",
        )
        for row in rows
    )
    return [
        "## Fields of known law",
        "",
        "Gaussian random fields given noisy block means of them, `train.py` then `evaluate.py` on one",
        "thread; medians over seeds, each of weights and data alike. Nats a cell; in brackets what the law",
        "itself scores. The machine had other work besides, so seconds are too many.",
        "",
        *(f"- {name}: {told}." for name, told in FIELDS.items()),
        "",
        *table(head, gaps),
        "",
        *table(judged, scores),
        "",
        "Every run is in `benchmarks/results/fields_runs.json`.",
        "",
    ]
