"""Your own table as a dataset."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from data.column import Categorical, Column, check_feature, check_range, understand
from data.points import Points
from data.reading import read
from flows.core import Spec
from flows.errors import UserError
from flows.types import Fraction, Seed
from flows.wording import choose

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["refuse", "drop"]


def table(
    path: str,
    columns: Sequence[str] | None = None,
    context: Sequence[str] = (),
    categorical: Categorical = "refuse",
    missing: Missing = "refuse",
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    seed: Seed = 0,
) -> Points:
    """Columns of a CSV, Parquet, NPY or NPZ file, under their own names, dealt out at random.

    Floats are continuous. Integers are a lattice of step 1 without bounds, so that no density of them is
    infinite; they may be constant, or equal each other, since each is spread over its cells by itself.
    A float column that is constant, or equals another, is refused: its density would be infinite.

    Text, categories and true/false are refused, unless dequantised. Then text and categories are coded 0
    to K-1 in sorted order (an ordered category in its own), a lattice on [0, K), whose names draws bear
    again; true/false is a lattice on [0, 2). As context each becomes K columns of 0 and 1 called
    `column=level`, and the first of them colours the figures.

    Args:
        path: The file; `data.reading.read` says more of each kind.
        columns: The features, in this order; None for every column that isn't context.
        context: Columns that are given and not modelled.
        categorical: What becomes of columns that hold no numbers.
        missing: What becomes of rows with a missing or infinite cell in these columns; `drop` leaves them
            out and says on stderr how many.
        val: Share of the rows for validation.
        test: Share of the rows for the test.
        seed: Of the split.

    Raises: UserError if there is no table, no such column, or a column that can't be modelled.
    References: Uria et al. 2013, RNADE: The real-valued neural autoregressive density-estimator,
        arXiv:1306.0186, for integers spread over their cells.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "t.csv")
    ...     _ = file.write_text("a,b\\n" + "".join(f"{k},{k / 4}\\n" for k in range(10)))
    ...     points = table(str(file))
    >>> points.spec.quantum, points.source("train").take(slice(None)).x.shape
    ((1.0, None), torch.Size([7, 2]))
    """
    file = Path(path)
    cells = read(file)
    names = _chosen(cells, columns, context, file)
    cells = _whole({name: cells[name] for name in [*names, *context]}, missing, file)
    try:
        found = {name: understand(column, categorical) for name, column in cells.items()}
        for name in names:
            check_feature(found[name], cells[name])
        for name in context:
            check_range(found[name], cells[name])
        _check_equal(found, names)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    features, given = [found[name] for name in names], {name: found[name] for name in context}
    labels = tuple(label for name, column in given.items() for label in column.labels(name))
    classes = [torch.from_numpy(column.values).long() for column in given.values() if column.levels]
    points = Points(
        torch.stack([torch.from_numpy(column.values) for column in features], dim=1),
        Spec(
            names=tuple(names),
            shape=(len(names),),
            context_names=labels,
            context_shape=(len(labels),) if labels else None,
            support=_any([column.support for column in features]),
            quantum=_any([column.quantum for column in features]),
            dtypes=tuple(column.dtype for column in features) if any(c.quantum for c in features) else None,
            levels=_any([None if column.dtype == "bool" else column.levels for column in features]),
        ),
        val,
        test,
        seed,
        torch.cat([column.as_context() for column in given.values()], dim=1) if given else None,
        classes[0] if classes else None,
    )
    _check_training(points, file)
    return points


def _chosen(
    present: Mapping[str, Any], columns: Sequence[str] | None, context: Sequence[str], file: Path
) -> list[str]:
    """Names of the features."""
    for key, asked in (("columns", columns or ()), ("context", context)):
        for name in asked:
            if name not in present:
                options = choose(name, present, "columns")
                raise UserError(f"dataset.{key}: {file} has no column {name}; {options}")
            if list(asked).count(name) > 1:
                raise UserError(f"dataset.{key}: names {name} twice")
    both = [name for name in columns or () if name in context]
    if both:
        raise UserError(
            f"dataset.columns: {both[0]} is in dataset.context too; model it or give it, not both"
        )
    names = [name for name in present if name not in context] if columns is None else list(columns)
    if not names:
        raise UserError("dataset.columns: no column is left to model; name at least one")
    if "" in (*names, *context):
        raise UserError(
            f"{file}: column {[*present].index('') + 1} has no name (a row number written with the table?); "
            "name it, or leave it out with dataset.columns=[…]"
        )
    return names


def _whole(cells: dict[str, pd.Series], missing: Missing, file: Path) -> dict[str, pd.Series]:
    """The rows without a missing or infinite cell, under their old numbers."""
    holes = {name: _holes(column) for name, column in cells.items()}
    holed = [name for name, hole in holes.items() if hole.any()]
    if not holed:
        return cells
    bad = np.any([*holes.values()], axis=0)
    rows, left_out = len(bad), int(bad.sum())
    if missing == "refuse":
        name, hole = holed[0], holes[holed[0]]
        row = int(hole.argmax())
        what = "missing" if bool(cells[name].isna().iloc[row]) else "infinite"
        raise UserError(
            f"{file}: column {name}, row {row + 1}: {what} ({hole.sum()} of {rows} rows are so); "
            "correct them, or dataset.missing=drop leaves them out"
        )
    where = ", ".join(holed)
    if rows - left_out < 2:
        raise UserError(f"{file}: {left_out} of {rows} rows have missing cells in {where}; too few are left")
    print(f"{file}: {left_out:,} of {rows:,} rows left out, for missing cells in {where}", file=sys.stderr)
    return {name: column.iloc[np.flatnonzero(~bad)] for name, column in cells.items()}


def _holes(cells: pd.Series) -> np.ndarray:
    """Which cells are missing or infinite, bool (N,)."""
    from pandas.api.types import is_float_dtype

    if is_float_dtype(cells.dtype):
        return ~np.isfinite(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    return cells.isna().to_numpy(dtype=bool)


def _check_equal(found: Mapping[str, Column], features: Sequence[str]) -> None:
    """Refuse a continuous feature that another column, modelled or given, equals everywhere."""
    alike: dict[bytes, list[str]] = {}
    for name, column in found.items():
        alike.setdefault((column.values + 0.0).tobytes(), []).append(name)  # -0.0 equals 0.0
    for names in alike.values():
        if len(names) > 1 and any(found[name].quantum is None and name in features for name in names):
            raise UserError(
                f"columns {names[0]} and {names[1]} are equal in all rows: their density would be infinite; "
                "leave one out"
            )


def _check_training(points: Points, file: Path) -> None:
    """Refuse a continuous feature or a context that the split has left constant."""
    spec, batch = points.spec, points.source("train").take(slice(None))
    lattice = spec.quantum or [None] * len(spec.names)
    columns = {name: batch.x[:, k] for k, name in enumerate(spec.names) if lattice[k] is None}
    if batch.context is not None:
        columns |= dict(zip(spec.context_names, batch.context.T, strict=True))
    for name, values in columns.items():
        if bool((values == values[0]).all()):
            raise UserError(
                f"{file}: column {name} is {float(values[0])} in all {len(values)} rows of the training "
                "part: nothing to learn from; leave it out, or give more rows"
            )


def _any(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The values, or None if all of them are."""
    return tuple(values) if any(value is not None for value in values) else None
