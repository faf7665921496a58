"""Examples as a table, and a table's cells as examples again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from flows.core import Spec
from flows.errors import UserError
from flows.evaluation.cells import read_cells
from flows.wording import MISSING, choose, nearest

if TYPE_CHECKING:
    import pandas as pd

Levels = tuple[str, ...] | None

TRUTH = {"True": "1", "False": "0"}  # however they are written: spreadsheets save TRUE


class Rows(NamedTuple):
    """A table, and what a model makes of it.

    Args:
        table: All its columns as they stand there: of CSV the text, of Parquet the types.
        x: (N, D), float64; NaN where the cell is empty.
        context: (N, C), float64, or None.
        empty: Which cells of each column that the model needs are empty, bool (N,), by its name.
    """

    table: pd.DataFrame
    x: Tensor
    context: Tensor | None
    empty: dict[str, Tensor]


def frame(x: Tensor, context: Tensor | None, spec: Spec) -> pd.DataFrame:
    """Examples (N, D) as columns of the types the data had, their contexts (N, C) beside them.

    Contexts are as exact as they are given, where the data says what their columns were; one-hot ones are the
    one column again that they come from, if each example has one level. Floats of x have the digits that they
    have here, and no more: `exact` makes them those of the data's columns.

    x has to lie on its lattice, if it has one. What a column's type can't hold stays whole: a number out of
    an integer's range makes the column int64, one that is none leaves it in floats, and a level that is none
    an empty cell.

    >>> spec = Spec(("a", "pet"), (2,), dtypes=("uint8", "str"), levels=(None, ("cat", "dog")))
    >>> frame(torch.tensor([[3.0, 1.0]]), None, spec).to_csv(index=False).split()
    ['a,pet', '3,dog']
    """
    import pandas as pd

    columns = {
        name: _named(values, levels, dtype) if levels else _typed(values, dtype)
        for name, values, (dtype, levels) in zip(spec.names, x.T.numpy(), _kinds(spec), strict=True)
    }
    if context is not None:
        context = context if spec.context_dtypes else context.to(x.dtype)
        for name, places in spec.context_columns().items():
            columns |= _contexts(name, places, context, spec)
    return pd.DataFrame(columns)


def exact(table: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """A table of `frame` whose floats are of the data's own types, for files that have types.

    A single-precision 0.1 becomes the double 0.1, as in a CSV file, and not 0.10000000149.
    """
    kinds = dict(zip(spec.names, spec.dtypes or (), strict=False))
    wider = [
        name
        for name, column in table.items()
        if kinds.get(str(name)) == "float64" and column.dtype == np.float32
    ]
    return table.assign(**{str(name): table[name].to_numpy().astype(str).astype(float) for name in wider})


def read(
    path: Path,
    spec: Spec,
    dtype: torch.dtype,
    new: Sequence[str] = (),
    gaps: Literal["none", "features", "all"] = "none",
) -> Rows:
    """Read a CSV or Parquet table that has a run's columns, in any order and among others.

    Contexts called `column=level` may stand there as that one column, with the names of levels in it.

    Args:
        path: The file.
        spec: What an example is.
        dtype: What the model computes in, where numbers have to be finite.
        new: Columns that the table is to be given, and may not have yet.
        gaps: Where cells may be missing (empty, or one of the marks that training reads so): of features,
            or of the context too.

    Raises: UserError that names the column, the first row that is wrong (from 1), its cell, and how many are.
    """
    table, text = read_cells(path, [*spec.names, *spec.context_names])
    names = [*text.columns]
    homes = {spec.context_names[k]: home for home, places in spec.context_columns().items() for k in places}
    context = {name: _column_of(name, homes[name], names) for name in spec.context_names}
    _check_header(names, [*dict.fromkeys([*spec.names, *context.values()])], new, path)
    if text.empty:
        raise UserError(f"{path}: a header without rows")
    cells = {str(name): column for name, column in text.items()}
    levels = dict(zip(spec.names, (levels for _, levels in _kinds(spec)), strict=True))
    levels |= {column: _levels(column, context) for column in context.values()}
    empty = {name: _empty(cells[name], known) for name, known in levels.items()}
    try:
        x = [
            _numbers(cells[name], kind, levels[name], dtype, None if gaps == "none" else empty[name])
            for name, (kind, _) in zip(spec.names, _kinds(spec), strict=True)
        ]
        given = [
            _given(cells[column], name, levels[column], dtype, empty[column] if gaps == "all" else None)
            for name, column in context.items()
        ]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return Rows(
        table,
        torch.stack(x, dim=1),
        torch.stack(given, dim=1) if given else None,
        empty,
    )


def _kinds(spec: Spec) -> list[tuple[str | None, Levels]]:
    """Type and levels of each feature."""
    nothing = [None] * len(spec.names)
    return [*zip(spec.dtypes or nothing, spec.levels or nothing, strict=True)]


def _named(codes: np.ndarray, levels: tuple[str, ...], dtype: str | None) -> pd.Series:
    """Names of levels, missing where a code is that of none."""
    import pandas as pd

    known = (codes >= 0) & (codes < len(levels)) & (np.floor(codes) == codes)  # NaN is none of it
    column = pd.Series(pd.Categorical.from_codes(np.where(known, codes, -1).astype(int), list(levels)))
    return column if dtype == "category" else column.astype("str")


def _contexts(name: str, places: list[int], context: Tensor, spec: Spec) -> dict[str, np.ndarray | pd.Series]:
    """The column that some contexts (N, C) come from, or a column for each where that can't be told."""
    dtype = spec.context_dtypes[places[0]] if spec.context_dtypes else None
    values = context[:, places]
    if spec.context_levels is None or spec.context_levels[places[0]] is None:
        return {name: _typed(values[:, 0].numpy(), dtype)}
    if not bool(((values == 1).sum(1) == 1).all() & ((values == 0).sum(1) == len(places) - 1).all()):
        return {spec.context_names[place]: context[:, place].numpy() for place in places}
    codes = values.argmax(1).numpy()
    if dtype == "bool":
        return {name: codes == 1}
    return {name: _named(codes, tuple(spec.context_levels[place] or "" for place in places), dtype)}


def _typed(values: np.ndarray, dtype: str | None) -> np.ndarray:
    """Numbers in the type they were, if it holds them all, or the nearest that does."""
    if dtype == "float32":
        with np.errstate(over="ignore"):  # which is looked for
            narrow = values.astype(np.float32)
        return narrow if (np.isfinite(narrow) == np.isfinite(values)).all() else values
    if dtype is None or dtype.startswith("float"):
        return values  # more digits than the model has would only be noise
    whole = values.astype(np.float64)
    if dtype == "bool":
        return whole == 1 if np.isin(whole, (0, 1)).all() else values
    for candidate in (dtype, "int64") if (np.floor(whole) == whole).all() else ():
        ends = np.iinfo(candidate)
        if ((whole >= ends.min) & (whole < float(ends.max) + 1)).all():
            return whole.astype(candidate)
    return values


def _check_header(names: list[str], needed: list[str], new: Sequence[str], path: Path) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        meant = nearest(missing[0], [name for name in names if name not in needed])
        hint = f"; is {missing[0]} called {meant} there?" if meant else ""
        raise UserError(f"{path}: lacks {len(missing)} of {len(needed)} columns: {', '.join(missing)}{hint}")
    doubled = [name for name in needed if names.count(name) > 1]
    if doubled:
        raise UserError(f"{path}: has {names.count(doubled[0])} columns called {doubled[0]}; keep one")
    taken = [name for name in new if name in names]
    if taken:
        raise UserError(f"{path}: has a column {taken[0]} already; rename it, or give the table without it")


def _column_of(name: str, home: str, present: Sequence[str]) -> str:
    """Where a context stands: in its own column, or as `column=level` in that of its levels."""
    column = home if home != name else name.partition("=")[0]  # of runs that don't say what levels are
    return column if name not in present and column in present else name


def _levels(column: str, context: Mapping[str, str]) -> Levels:
    """What may stand in a column of the context; None for numbers."""
    coded = [name for name, home in context.items() if home == column != name]
    return tuple(name.removeprefix(f"{column}=") for name in coded) or None


def _empty(cells: pd.Series, levels: Levels) -> Tensor:
    """Which cells are empty, bool (N,): a mark of what is missing may be the name of a level too."""
    missing = cells.str.strip().isin(MISSING) & ~cells.isin(levels or ())
    return torch.tensor(missing.to_numpy(dtype=bool))


def _given(
    cells: pd.Series, name: str, levels: Levels, dtype: torch.dtype, optional: Tensor | None
) -> Tensor:
    """One context (N,)."""
    numbers = _numbers(cells, None, levels, dtype, optional)
    if levels is None:
        return numbers
    level = levels.index(name.removeprefix(f"{cells.name}="))
    return (numbers == level).double().where(~numbers.isnan(), torch.nan)


def _numbers(
    cells: pd.Series, kind: str | None, levels: Levels, dtype: torch.dtype, optional: Tensor | None = None
) -> Tensor:
    """A column as numbers (N,), finite but where they are optional."""
    import pandas as pd

    if levels is not None:
        named = cells.str.capitalize() if {*levels} == TRUTH.keys() else cells
        numbers = named.map({level: code for code, level in enumerate(levels)}.get)
    else:
        plain = cells.where(~cells.str.capitalize().isin(TRUTH), cells.str.capitalize().map(TRUTH))
        numbers = pd.to_numeric(plain if kind == "bool" else cells, errors="coerce")
    values = torch.tensor(pd.Series(numbers, dtype=float).to_numpy())
    wrong = ~values.to(dtype).isfinite()
    if optional is not None:
        wrong &= ~optional
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        cell = cells.iloc[row]
        what = "no finite number" if levels is None else "none of its levels"
        options = "" if levels is None else f"; {choose(cell, levels, 'levels')}"
        raise UserError(
            f"column {cells.name}, row {row + 1}: {cell!r} is {what}"
            f" ({int(wrong.sum())} of {len(cells)} rows have none there){options}"
        )
    return values
