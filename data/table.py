"""Your own table as a dataset."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from data.column import Categorical, Column, check_feature, check_range, extent, understand
from data.ends import Asked, Ends, check_named, within
from data.holed import leave_out, refuse
from data.learnable import check_equal, check_training, tell_idle
from data.npy import Npy, checked
from data.points import Points
from data.reading import read
from data.recorded import doubtful, recorded
from data.rows import Rows
from flows.core import Dataset, Spec
from flows.errors import UserError
from flows.types import Fraction, PositiveFloat, Seed
from flows.wording import choose

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["refuse", "drop"]
LARGE = 2**28  # bytes of a file that is mapped by itself


def table(
    path: str,
    columns: Sequence[str] | None = None,
    context: Sequence[str] = (),
    names: Sequence[str] | None = None,
    categorical: Categorical = "refuse",
    missing: Missing = "refuse",
    support: Asked | None = None,
    quantum: Mapping[str, PositiveFloat] | None = None,
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    seed: Seed = 0,
    mapped: bool | None = None,
) -> Dataset:
    """Columns of a CSV, Parquet, NPY or NPZ file, under their own names, dealt out at random.

    Floats are continuous, but for those with a `quantum`. Integers are a lattice of step 1. A lattice has no
    bounds unless `support` gives some; no density of it is infinite, and columns on it may be constant, or
    equal each other, since each is spread over its cells by itself: stderr names them. A continuous
    column that is constant, or equals another, is refused: its density would be infinite.

    Text, categories and true/false are refused, unless dequantised. Then text and categories are coded 0
    to K-1 in sorted order (an ordered category in its own), a lattice on [0, K), whose names draws bear
    again; true/false is a lattice on [0, 2). As context each becomes K columns of 0 and 1 called
    `column=level`, and the first of them colours the figures; beside draws it is the one column again.

    An NPY file that is mapped stays on disk; how large it is then matters neither to memory nor to the time
    of a training step. Its rows are dealt out by runs of neighbours, of 64 KiB each, and not one by one. It
    has to hold numbers alone, row after row (a C-ordered array, or one with named fields).
    Every start looks through it once, for numbers that are none, and once more to name it by its hash.

    Args:
        path: The file; `data.reading.read` says more of each kind.
        columns: The features, in this order; None for every column that isn't context.
        context: Columns that are given and not modelled.
        names: What the columns of an array are called that has no names; None for x0, x1, …
        categorical: What becomes of columns that hold no numbers.
        missing: What becomes of rows with a missing or infinite cell in these columns; `drop` leaves them
            out and says on stderr how many.
        support: Ends of features where you know them, null for one that isn't there: {price: [0, null]}. No
            draw lies beyond. A continuous feature comes near them without reaching them, integers may take
            their values.
        quantum: Steps in which float columns were recorded, {height: 0.1}: a lattice, as integers are. A
            density of numbers that recur can grow without bound; where most do, stderr says so.
        val: Share of the rows for validation.
        test: Share of the rows for the test.
        seed: Of the split.
        mapped: Whether the file is mapped, or read whole; None to map an NPY file of more than 256 MiB.

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
    file = Path(path).expanduser()
    if mapped or (mapped is None and _is_large(file)):
        if quantum:
            raise UserError("dataset.quantum: not of a mapped file; dataset.mapped=false reads it whole")
        return _on_disk(file, columns, context, names, categorical, missing, support or {}, (val, test, seed))
    cells = _named(read(file), names, file)
    features = _chosen(cells, columns, context, file)
    check_named("support", support or {}, features)
    check_named("quantum", quantum or {}, features)
    cells = _whole({name: cells[name] for name in [*features, *context]}, missing, file)
    try:
        found = {name: understand(column, categorical) for name, column in cells.items()}
        for name, step in (quantum or {}).items():
            found[name] = recorded(name, found[name], step)
        ends, constant = {}, []
        for name in features:
            column, reach = found[name], extent(found[name], cells[name])
            constant += [name] if reach.low == reach.high else []
            check_feature(name, reach, column.quantum)
            ends[name] = within(name, support or {}, reach, column.quantum, column.support)
        for name in context:
            check_range(name, extent(found[name], cells[name]))
        alike = _alike(found)
        check_equal(alike, [name for name in features if found[name].quantum is None])
        points = _dealt(found, ends, context, (val, test, seed))
        check_training(points)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    numbers = [name for name in features if found[name].quantum is not None and not found[name].levels]
    tell_idle(file, constant, [[name for name in group if name in numbers] for group in alike])
    for name in features:
        doubt = doubtful(name, found[name].values) if found[name].quantum is None else None
        if doubt:
            print(f"{file}: {doubt}", file=sys.stderr)
    return points


def _dealt(
    found: Mapping[str, Column],
    ends: Mapping[str, Ends | None],
    context: Sequence[str],
    split: tuple[float, float, int],
) -> Points:
    """The columns as examples in memory; features are those that have ends, or None."""
    features, given = [found[name] for name in ends], {name: found[name] for name in context}
    labels = tuple(label for name, column in given.items() for label in column.labels(name))
    each = [(column, level) for column in given.values() for level in column.levels or (None,)]  # of labels
    classes = [torch.from_numpy(column.values).long() for column in given.values() if column.levels]
    return Points(
        torch.stack([torch.from_numpy(column.values) for column in features], dim=1),
        Spec(
            names=tuple(ends),
            shape=(len(ends),),
            context_names=labels,
            context_shape=(len(labels),) if labels else None,
            support=_any([*ends.values()]),
            quantum=_any([column.quantum for column in features]),
            dtypes=tuple(column.dtype for column in features),
            levels=_any([None if column.dtype == "bool" else column.levels for column in features]),
            context_dtypes=tuple(column.dtype for column, _ in each) or None,
            context_levels=_any([level for _, level in each]),
        ),
        *split,
        torch.cat([column.as_context() for column in given.values()], dim=1) if given else None,
        classes[0] if classes else None,
    )


def _is_large(file: Path) -> bool:
    """Whether a file is one that can be mapped, and too large to be read whole without being asked to."""
    try:
        return file.suffix.lower() == ".npy" and file.stat().st_size > LARGE
    except (OSError, ValueError):  # which reading it will tell
        return False


def _on_disk(
    file: Path,
    columns: Sequence[str] | None,
    context: Sequence[str],
    names: Sequence[str] | None,
    categorical: Categorical,
    missing: Missing,
    support: Asked,
    split: tuple[float, float, int],
) -> Rows:
    """The table as rows that stay in their file.

    Raises: UserError if it is of another kind, or asked for what only a table in memory can give.
    """
    if file.suffix.lower() != ".npy":
        raise UserError(f"dataset.mapped=true: {file} is read whole; only .npy files are mapped")
    if categorical != "refuse":
        raise UserError(
            f"dataset.categorical={categorical}: a mapped file holds numbers alone; leave it out, or "
            "dataset.mapped=false reads it whole"
        )
    opened = Npy(file, names)
    features = _chosen(opened.names, columns, context, file)
    check_named("support", support, features)
    return Rows(opened, features, context, support, missing == "drop", *split)


def _named(cells: dict[str, pd.Series], names: Sequence[str] | None, file: Path) -> dict[str, pd.Series]:
    """Columns by the names that are given to an array without names."""
    if names is None:
        return cells
    if [*cells] != [f"x{k}" for k in range(len(cells))] or file.suffix.lower() not in (".npy", ".npz"):
        raise UserError(f"dataset.names: {file} has names of its own ({', '.join(cells)})")
    return dict(zip(checked(names, len(cells), file) or (), cells.values(), strict=True))


def _chosen(
    present: Collection[str], columns: Sequence[str] | None, context: Sequence[str], file: Path
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
    if missing == "refuse":
        name, hole = holed[0], holes[holed[0]]
        row = int(hole.argmax())
        what = "missing" if bool(cells[name].isna().iloc[row]) else "infinite"
        raise refuse(file, name, row, what, int(hole.sum()), len(bad))
    leave_out(file, int(bad.sum()), len(bad), holed)
    return {name: column.iloc[np.flatnonzero(~bad)] for name, column in cells.items()}


def _holes(cells: pd.Series) -> np.ndarray:
    """Which cells are missing or infinite, bool (N,)."""
    from pandas.api.types import is_float_dtype

    if is_float_dtype(cells.dtype):
        return ~np.isfinite(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    return cells.isna().to_numpy(dtype=bool)


def _alike(found: Mapping[str, Column]) -> list[list[str]]:
    """Columns by those that are equal in all rows."""
    alike: dict[bytes, list[str]] = {}
    for name, column in found.items():
        alike.setdefault((column.values + 0.0).tobytes(), []).append(name)  # -0.0 equals 0.0
    return [*alike.values()]


def _any(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The values, or None if all of them are."""
    return tuple(values) if any(value is not None for value in values) else None
