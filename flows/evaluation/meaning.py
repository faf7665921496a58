"""What each number means, and the table that shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """How a metric is called and read by people."""

    label: str
    unit: str
    text: str


MEANINGS = {
    "test_points": Meaning("Test points", "", "Held-out examples that the numbers below are taken over."),
    "nll": Meaning(
        "Negative log-likelihood",
        "nats",
        "Mean of −log p over the test points, in the data's units. Lower is better; the floor is "
        "the truth's own.",
    ),
    "kl_to_truth": Meaning(
        "KL to the truth",
        "nats",
        "Mean of log p_true − log p_model over the test points: what is lost against the true density. "
        "Zero is perfect; an interval wholly below zero is a bug.",
    ),
    "latent_energy_distance": Meaning(
        "Latent energy distance",
        "",
        "How far the latents of test points are from standard Gaussian draws. The floor is as many "
        "Gaussian draws against Gaussian draws.",
    ),
    "sample_energy_distance": Meaning(
        "Sample energy distance",
        "",
        "How far samples of the model are from test points, features in standard deviations. The floor "
        "is as many test points against other test points.",
    ),
    "sample_chi2_p": Meaning(
        "Samples against density",
        "p-value",
        "χ² of samples against the model's own density on a grid. Below 0.001, the two disagree.",
    ),
    "truth_ratio": Meaning(
        "Truth over model",
        "ratio",
        "Mean of p_true / p_model over samples of the model: 1 where its samples follow its density and "
        "reach all of the truth. It says nothing of how close the two are; KL does.",
    ),
}


class Row(NamedTuple):
    """One metric with what belongs to it, as text; an absent part is empty."""

    key: str
    meaning: Meaning
    value: str
    interval: str
    floor: str


def number(value: float) -> str:
    """A value as people read it: four decimals, two digits where it is small, none where it is a count.

    >>> number(20000.0), number(0.01234), number(0.00001234), number(float("nan"))
    ('20,000', '0.0123', '1.2e-05', '—')
    """
    if not math.isfinite(value):
        return "—" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == round(value) and abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 1e-2 or value == 0 else f"{value:.2g}"


def rows(metrics: Mapping[str, float]) -> list[Row]:
    """The metrics in the order they were measured, each joined by its interval and its floor.

    >>> [(row.key, row.interval) for row in rows({"nll": 1.0, "nll_low": 0.5, "nll_high": 1.5})]
    [('nll', '0.5000 to 1.5000')]
    """
    parts = {f"{key}_{part}" for key in metrics for part in ("low", "high", "floor")}
    table = []
    for key in (key for key in metrics if key not in parts):
        low, high, least = (metrics.get(f"{key}_{part}") for part in ("low", "high", "floor"))
        interval = "" if low is None or high is None else f"{number(low)} to {number(high)}"
        meaning = MEANINGS.get(key, Meaning(key, "", ""))
        table.append(
            Row(key, meaning, number(metrics[key]), interval, "" if least is None else number(least))
        )
    return table


def text(metrics: Mapping[str, float]) -> str:
    """The table for a terminal, one metric a line, columns aligned."""
    lines = [("metric", "value", "95 % interval", "floor")]
    lines += [(row.key, row.value, row.interval, row.floor) for row in rows(metrics)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    align = ["<", ">", ">", ">"]
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, align, widths, strict=True)
        ).rstrip()
        for line in lines
    )
