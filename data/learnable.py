"""Whether a table's columns leave something to learn that has a finite density."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

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
