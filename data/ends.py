"""Ends of a column's range that the user knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import remainder
from typing import NoReturn

import numpy as np

from data.column import Extent
from flows.errors import UserError
from flows.types import FiniteFloat
from flows.wording import choose, show

RESOLVED = float(np.finfo(np.float32).eps)  # least distance from an end, in widths or in the end itself
OFF = 1e-6  # of a step that an end may lie beside the lattice
Ends = tuple[FiniteFloat | None, FiniteFloat | None]
Asked = Mapping[str, Ends]


def check_named(key: str, asked: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse to be told something of what isn't modelled.

    Raises: UserError that names the key and the column.
    """
    for name in asked:
        if name not in names:
            raise UserError(f"dataset.{key}.{name}: no such feature; {choose(name, names, 'features')}")


def within(
    name: str, asked: Asked, found: Extent, quantum: float | None, own: Ends | None = None
) -> Ends | None:
    """The ends between which a feature lives, None where it has neither.

    What lies on a lattice may take the values at both ends; of continuous features the ends themselves are
    out of reach.

    Args:
        name: The column.
        asked: What was said of columns.
        found: How far the numbers reach.
        quantum: Step of its lattice; None where continuous.
        own: Ends that the column's kind has by itself.

    Raises: UserError if the numbers reach beyond, or the ends can't be.

    >>> import numpy as np
    >>> some = Extent.of(np.array([1.0, 3.0]))
    >>> within("age", {"age": (0, None)}, some, None), within("n", {"n": (1, 6)}, some, 1.0)
    ((0.0, None), (1.0, 7.0))
    """
    low, high = ends = asked.get(name, (None, None))
    if low is None and high is None:
        return own
    if own is not None:
        _refuse(name, ends, "its levels are its range; leave it out")
    if quantum is not None and any(
        end is not None and abs(remainder(end, quantum)) > OFF * quantum for end in ends
    ):
        _refuse(name, ends, f"column {name} goes in steps of {quantum:g}; give ends that it can take")
    if low is not None and high is not None and not low < high:
        _refuse(name, ends, "the first has to be the smaller one")
    if low is not None:
        _check(name, ends, "goes down to", found.low, found.low - low, quantum is None)
    if high is not None:
        _check(name, ends, "goes up to", found.high, high - found.high, quantum is None)
    cell = quantum or 0.0  # of the last value
    return None if low is None else float(low), None if high is None else float(high + cell)


def _check(name: str, ends: Ends, goes: str, reached: float, room: float, continuous: bool) -> None:
    """Refuse an end that a column passes, or comes nearer to than single precision can tell."""
    if room < 0:
        _refuse(name, ends, f"column {name} {goes} {reached:g}; correct the column, or widen the range")
    low, high = ends
    width = high - low if low is not None and high is not None else abs(low or high or 0.0)
    if continuous and room <= RESOLVED * width:
        _refuse(
            name,
            ends,
            f"column {name} {goes} {reached:g}, on that end or too near it to be told from it, and there "
            "is no density at an end; widen the range a little",
        )


def _refuse(name: str, ends: Ends, why: str) -> NoReturn:
    raise UserError(f"dataset.support.{name}={show(ends)}: {why}")
