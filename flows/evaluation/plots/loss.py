"""How a run, or several, came down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flows.evaluation.plots.style import MUTED, PALETTE, cut, label, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, float | None]]


KL = "kl_to_truth"
TITLES = {
    "nll": "Negative log-likelihood",
    KL: "KL(truth ‖ model) on validation points",
    "wasserstein": "Wasserstein distance, as the critic estimates it",
    "critic_loss": "Critic's loss",
    "gradient_penalty": "Gradient penalty",
    "generator_adversarial": "Generator's loss to the critic",
}
UNITS = {"nll": "nats", KL: "nats"}
LETTERS = 60  # of a run's name that there is room for
TRAINED = ("critic_loss", "gradient_penalty", "generator_adversarial")  # shown though only training has them


def loss_curves(runs: Mapping[str, Rows]) -> Figure:
    """A panel for each score that was validated, over steps, with what training said of it.

    First the NLL, then KL to the truth, then any others, last the losses of adversaries; what no row has
    isn't there.

    Args:
        runs: For each run by name, the rows of its metrics.csv: `step`, `nll`, `val_nll`, `val_kl_to_truth`
            and the like, None where a row has none. One run shows both its curves; of several, training
            is drawn faintly.
    """
    scores = _scores(runs)
    figure, axes = panels(len(scores), 1, 3.4 if len(scores) == 1 else 2.1)
    for each, score in zip(axes, scores, strict=True):
        _panel(each, score, runs)
        lowest = score == scores[-1]
        label(each, TITLES.get(score, score), "step" if lowest else "", UNITS.get(score, ""))
        if score == KL:
            _logarithmic(each)
        each.set_xlim(axes[0].get_xlim())
        each.grid(color=MUTED, alpha=0.25, linewidth=0.6)
    legend(axes[0])
    return figure


def _scores(runs: Mapping[str, Rows]) -> list[str]:
    """What there is to show, by its name without `val_`."""
    keys = dict.fromkeys(key for rows in runs.values() for row in rows for key in row)
    validated = [key.removeprefix("val_") for key in keys if key.startswith("val_")]
    there = [
        score
        for score in dict.fromkeys(["nll", KL, *validated, *TRAINED])
        if any(_curve(rows, key)[0] for rows in runs.values() for key in (score, f"val_{score}"))
    ]
    return there or ["nll"]


def _panel(axes: Axes, score: str, runs: Mapping[str, Rows]) -> None:
    alone = len(runs) == 1
    shown: list[float] = []
    for place, (name, rows) in enumerate(runs.items()):
        colour = PALETTE[place % len(PALETTE)]
        train, val = _curve(rows, score), _curve(rows, f"val_{score}")
        if train[0]:
            (thin,) = axes.plot(*train, color=MUTED if alone else colour, linewidth=0.8)
            thin.set(label="training") if alone else thin.set(alpha=0.3)
        called = "validation" if alone else cut(name, LETTERS)
        axes.plot(*val, color=colour, linewidth=1.8, marker=".", label=called)
        shown += _settled(train[1]) + _settled(val[1])
    if shown and score != KL and score not in TRAINED:
        margin = 0.05 * (max(shown) - min(shown)) or 0.1
        axes.set_ylim(min(shown) - margin, max(shown) + margin)


def _curve(rows: Rows, key: str) -> tuple[list[float], list[float]]:
    """Steps and values, where there is a value."""
    points = [(row["step"], row.get(key)) for row in rows]
    kept = [(step, value) for step, value in points if step is not None and value is not None]
    return [step for step, _ in kept], [value for _, value in kept]


def _settled(values: list[float]) -> list[float]:
    """The values without the highest twentieth: the first steps, which would flatten all that follow."""
    return sorted(values)[: len(values) - len(values) // 20]


def _logarithmic(axes: Axes) -> None:
    """Where there is anything positive to show, ticks at 1, 2 and 5 of each decade, written out."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    if axes.dataLim.minposy < float("inf"):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
