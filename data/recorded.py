"""Floats that were recorded in steps: a lattice, as integers are."""

from __future__ import annotations

import numpy as np

from data.column import Column
from flows.errors import UserError

FEW = 0.01  # of a column's values may need more decimals than it was recorded with
OFF = 1e-3  # of a step that a value may lie beside the lattice, for want of digits


def recorded(name: str, column: Column, step: float) -> Column:
    """A column of floats on the lattice of multiples of a step.

    Args:
        name: What it is called.
        column: Its numbers.
        step: In which they were recorded.

    Raises: UserError if it holds no floats, or one that lies elsewhere.

    >>> recorded("a", Column(np.array([0.1, 0.30001]), "float64"), 0.1).values.tolist()
    [0.1, 0.30000000000000004]
    """
    if column.quantum is not None:
        raise UserError(f"dataset.quantum.{name}: column {name} holds {column.dtype}, a lattice by itself")
    nearest = np.round(column.values / step) * step
    off = np.abs(column.values - nearest) > OFF * step
    if off.any():
        value = column.values[int(off.argmax())]
        raise UserError(
            f"dataset.quantum.{name}={step:g}: {value:g} is no multiple of it, as {off.sum()} of {len(off)} "
            "values; give the step of all, or round the column"
        )
    return column._replace(values=nearest, recorded=step)


def doubtful(name: str, values: np.ndarray) -> str | None:
    """What to say of a continuous column whose values recur, None where most don't.

    >>> print(doubtful("a", np.array([0.1, 0.1, 0.3])))
    column a: 2 of 3 values recur, and a density of such can grow without bound; dataset.quantum={a: 0.1}?
    """
    _, counts = np.unique(values, return_counts=True)
    again = int(counts[counts > 1].sum())
    if again <= len(values) / 2:
        return None
    return (
        f"column {name}: {again} of {len(values)} values recur, and a density of such can grow without "
        f"bound; dataset.quantum={{{name}: {10.0 ** -decimals(values):g}}}?"
    )


def decimals(values: np.ndarray) -> int:
    """Fewest decimals that all but a few of the values (N,) are written with.

    >>> decimals(np.array([0.5, 0.25, 3.0]))
    2
    """
    return next(n for n in range(17) if np.mean(np.abs(values - np.round(values, n)) > 1e-9) <= FEW)
