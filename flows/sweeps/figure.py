"""The score by each key that was swept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flows.evaluation.plots.style import INK, MUTED, PALETTE, TEXT, cut, label, panels
from flows.sweeps.settings import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # panels
_WIDE = 10.0  # above this ratio of the largest to the smallest, an axis is logarithmic


def marginals(points: Sequence[tuple[Mapping[str, str], float]], keys: Sequence[str], score: str) -> Figure:
    """One small panel a key: each run's score over its value there, and mean ± standard error of each value.

    All runs that share a value count, whatever else they were told; an axis of numbers that span more than a
    factor of ten is logarithmic.

    Args:
        points: What each run was told, as text, and its score.
        keys: Those to show, twelve at most.
        score: Its name.
    """
    keys = keys[:MOST]
    columns = min(3, max(2, len(keys)))
    figure, axes = panels(-(-len(keys) // columns), columns, 2.2, range(len(keys)))
    heights = [height for _, height in points]
    for place, (each, key) in enumerate(zip(axes, keys, strict=True)):
        _panel(each, [(told.get(key, ""), height) for told, height in points])
        label(each, cut(key, 26 if columns == 3 else 40), "", score if place % columns == 0 else "")
        if _spans(heights):
            each.set_yscale("log")
        each.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
    return figure


def _panel(axes: Axes, points: Sequence[tuple[str, float]]) -> None:
    by_value: dict[str, list[float]] = {}
    for value, height in points:
        by_value.setdefault(value, []).append(height)
    places = _numbers(list(by_value))
    named = places is None
    places = {value: float(place) for place, value in enumerate(by_value)} if places is None else places
    for value, heights in by_value.items():
        axes.scatter([places[value]] * len(heights), heights, s=9, color=MUTED, alpha=0.6, linewidths=0)
    order = sorted(by_value, key=lambda value: places[value])
    found = [spread(by_value[value]) for value in order]
    axes.errorbar(
        [places[value] for value in order],
        [each.mean for each in found if each],
        [each.error or 0.0 for each in found if each],
        color=PALETTE[0],
        marker="o",
        markersize=4,
        linewidth=0.0 if named else 1.2,
        elinewidth=1.6,
        capsize=3,
    )
    if named:
        long = max(map(len, order)) * len(order) > 24
        axes.set_xticks(
            range(len(order)),
            [cut(value, 18) for value in order],
            rotation=30 if long else 0,
            ha="right" if long else "center",
            parse_math=False,
        )
        axes.set_xlim(-0.5, len(order) - 0.5)
    else:
        _scale(axes, [places[value] for value in order])


def _scale(axes: Axes, places: Sequence[float]) -> None:
    """Ticks at the values that were tried, where there is room for them."""
    from matplotlib.ticker import NullLocator

    if _spans(places):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if len(places) <= 5:
        axes.set_xticks(places, [f"{place:g}" for place in places], color=INK, fontsize=TEXT - 1.5)


def _numbers(values: Sequence[str]) -> dict[str, float] | None:
    """Values as numbers, None if any is none."""
    try:
        found = {value: float(value) for value in values}
    except ValueError:
        return None
    return found if all(map(math.isfinite, found.values())) else None


def _spans(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE
