"""Whether a table's columns leave something to learn that has a finite density."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import torch

from flows.core import Dataset
from flows.errors import UserError
from flows.signals import stop_if_asked

ROWS = 2**16  # looked at together; as a rule no column is constant in the first of them


def check_equal(alike: Iterable[Sequence[str]], continuous: Collection[str]) -> None:
    """Refuse a continuous feature that another column, modelled or given, equals everywhere.

    Args:
        alike: Groups of columns that are equal in all rows.
        continuous: Names of the continuous features.

    Raises: UserError that names two of them.
    """
    for names in alike:
        if len(names) > 1 and any(name in continuous for name in names):
            raise UserError(
                f"columns {names[0]} and {names[1]} are equal in all rows: their density would be infinite; "
                "leave one out"
            )


def tell_idle(file: Path, constant: Sequence[str], alike: Iterable[Sequence[str]]) -> None:
    """Name on stderr what is harmless on a lattice, but hardly meant: columns that are constant or equal.

    Args:
        file: Whose columns they are.
        constant: Names of the features that are constant.
        alike: Groups of columns that are equal in all rows.
    """
    if constant:
        what = f"columns {', '.join(constant)} are each" if len(constant) > 1 else f"column {constant[0]} is"
        print(f"{file}: {what} the same in all rows, nothing to learn from; leave it out?", file=sys.stderr)
    for names in alike:
        if len(names) > 1 and not any(name in constant for name in names):
            print(
                f"{file}: columns {', '.join(names)} are equal in all rows, but each is spread over its "
                "cells by itself, and draws of them may differ; leave one out?",
                file=sys.stderr,
            )


def check_training(dataset: Dataset) -> None:
    """Refuse a continuous feature or a context that the split has left constant.

    Raises: UserError that names it.
    """
    spec, source = dataset.spec, dataset.source("train")
    assert source is not None
    lattice = spec.quantum or [None] * len(spec.names)
    names = [*spec.names, *spec.context_names]
    constant = [k for k in range(len(names)) if k >= len(lattice) or lattice[k] is None]
    first = None
    for start in range(0, len(source), ROWS):
        stop_if_asked()
        rows = torch.cat([part for part in source.take(slice(start, start + ROWS)) if part is not None], 1)
        first = rows[0] if first is None else first
        constant = [k for k in constant if bool((rows[:, k] == first[k]).all())]
        if not constant:
            return
    if first is not None and constant:
        raise UserError(
            f"column {names[constant[0]]} is {float(first[constant[0]])} in all {len(source)} rows of the "
            "training part: nothing to learn from; leave it out, or give more rows"
        )
