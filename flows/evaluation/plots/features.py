"""One feature on an axis: its range, its bins, its ticks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from flows.core import Spec
from flows.evaluation.plots.style import MUTED, cut, window

if TYPE_CHECKING:
    from matplotlib.axis import Axis

LEVELS, LETTERS = 8, 10  # most names on a categorical axis, and of each
FEWEST = 8  # bins, however few the points


class Feature(NamedTuple):
    """How one feature is shown.

    Args:
        name: What it is called.
        edges: Of its bins, which end at its support; on a lattice each holds the same number of cells.
        centre: From a value to the middle of its lattice cell; 0 where continuous.
        levels: Names of a categorical feature's values.
    """

    name: str
    edges: tuple[float, ...]
    centre: float
    levels: tuple[str, ...] | None

    @property
    def limits(self) -> tuple[float, float]:
        """The range that is shown."""
        return self.edges[0], self.edges[-1]


def feature(spec: Spec, place: int, real: Tensor, bins: int) -> Feature:
    """The range of real values (N,) but for stray ones, within the support, in at most `bins` bins.

    Of few values, fewer bins: about √N, or the shape drowns in noise.

    >>> import torch
    >>> spec = Spec(names=("n",), shape=(1,), support=((0.0, 4.0),), quantum=(1.0,))
    >>> feature(spec, 0, torch.arange(4.0), 50).edges
    (0.0, 1.0, 2.0, 3.0, 4.0)
    """
    step, name = steps(spec)[place], spec.names[place]
    bins = min(bins, max(FEWEST, round(math.sqrt(len(real)))))
    levels = spec.levels[place] if spec.levels else None
    ((low, high),) = window(real[:, None] + step / 2) if levels is None else ((0.0, len(levels)),)
    low, high = within(spec, place, low, high)
    if step == 0:
        edges = [low + (high - low) * k / bins for k in range(bins)]
        return Feature(name, (*edges, high), 0.0, levels)
    cells = round((high - low) / step)
    each = -(-cells // bins)
    ends = range(0, cells + each, each)  # the last bin may reach beyond: all are of one width
    return Feature(name, tuple(low + end * step for end in ends), step / 2, levels)


def within(spec: Spec, place: int, low: float, high: float) -> tuple[float, float]:
    """The range as far as the support goes, on a lattice out to whole cells."""
    step, (first, last) = steps(spec)[place], spec.ends(place)
    start = first if math.isfinite(first) else 0.0
    if step:
        low = start + step * math.floor((low - start) / step + 0.01)
        high = start + step * math.ceil((high - start) / step - 0.01)
    return max(low, first), min(high, last)


def steps(spec: Spec) -> list[float]:
    """The step of each feature's lattice, 0 where it has none."""
    return [step or 0.0 for step in spec.quantum or [None] * len(spec.names)]


def ticks(axis: Axis, shown: Feature, count: int, size: float, turn: float = 0) -> None:
    """About `count` short ticks: at round numbers, or in the middle of each of a few cells or levels."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    low, high = shown.limits
    if shown.levels is None and high - low <= 2 * shown.centre * count:  # of few cells, each has its own
        cells = round((high - low) / (2 * shown.centre))
        axis.set_major_locator(FixedLocator([low + shown.centre * (2 * cell + 1) for cell in range(cells)]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value - shown.centre)))
    elif shown.levels is None:
        axis.set_major_locator(MaxNLocator(count, min_n_ticks=2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    else:
        every = -(-len(shown.levels) // LEVELS)
        names = {
            k + shown.centre: cut(name, LETTERS) for k, name in enumerate(shown.levels) if k % every == 0
        }
        axis.set_major_locator(FixedLocator([*names]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "").replace("$", r"\$")))
        turn = turn or 40 * (len("".join(names.values())) > 16)
    axis.set_tick_params(labelsize=size, labelrotation=turn, color=MUTED)


def short(value: float) -> str:
    """A tick's number in few characters.

    >>> short(0.25), short(-3.0), short(2500000.0), short(0.00001)
    ('0.25', '−3', '2.5e6', '1e−5')
    """
    mantissa, _, power = (f"{value:.6g}" if abs(value) < 1e5 else f"{value:.5e}").partition("e")
    if power:
        mantissa = f"{float(mantissa):g}e{int(power)}"
    return mantissa.replace("-", "−")
