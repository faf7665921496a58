"""How a run, or several, came down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flows.evaluation.plots.style import MUTED, PALETTE, label, legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, float | None]]


def loss_curves(runs: Mapping[str, Rows]) -> Figure:
    """Training and validation NLL over steps and, where it was measured, KL to the truth below it.

    Args:
        runs: For each run by name, the rows of its metrics.csv: `step`, `nll`, `val_nll`, `val_kl_to_truth`,
            None where a row has none. One run shows both its curves; of several, training is drawn faintly.
    """
    known = any(_curve(rows, "val_kl_to_truth")[0] for rows in runs.values())
    figure, axes = panels(2 if known else 1, 1, 2.1 if known else 3.4)
    alone = len(runs) == 1
    shown: list[float] = []
    for place, (name, rows) in enumerate(runs.items()):
        colour = PALETTE[place % len(PALETTE)]
        train, val, kl = (_curve(rows, key) for key in ("nll", "val_nll", "val_kl_to_truth"))
        (thin,) = axes[0].plot(*train, color=MUTED if alone else colour, linewidth=0.8)
        thin.set(label="training") if alone else thin.set(alpha=0.3)
        axes[0].plot(*val, color=colour, linewidth=1.8, marker=".", label="validation" if alone else name)
        shown += _settled(train[1]) + _settled(val[1])
        if known:
            axes[1].plot(*kl, color=colour, linewidth=1.8, marker=".", label=name)
    if shown:
        margin = 0.05 * (max(shown) - min(shown)) or 0.1
        axes[0].set_ylim(min(shown) - margin, max(shown) + margin)
    label(axes[0], "Negative log-likelihood", "" if known else "step", "nats")
    legend(axes[0])
    if known:
        label(axes[1], "KL(truth ‖ model) on validation points", "step", "nats")
        _logarithmic(axes[1])
        axes[1].set_xlim(axes[0].get_xlim())
    for each in axes:
        each.grid(color=MUTED, alpha=0.25, linewidth=0.6)
    return figure


def _curve(rows: Rows, key: str) -> tuple[list[float], list[float]]:
    """Steps and values, where there is a value."""
    points = [(row["step"], row.get(key)) for row in rows]
    kept = [(step, value) for step, value in points if step is not None and value is not None]
    return [step for step, _ in kept], [value for _, value in kept]


def _settled(values: list[float]) -> list[float]:
    """The values without the highest twentieth: the first steps, which would flatten all that follow."""
    return sorted(values)[: max(1, len(values) * 19 // 20)] if values else []


def _logarithmic(axes: Axes) -> None:
    """Where there is anything positive to show, ticks at 1, 2 and 5 of each decade, written out."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    if axes.dataLim.minposy < float("inf"):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
