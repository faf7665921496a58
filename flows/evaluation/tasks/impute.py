"""Draw what isn't known of an example, given what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from flows.core import AnySubset, Spec
from flows.errors import UserError
from flows.evaluation.blocks import BLOCK, place
from flows.evaluation.cells import KINDS, content
from flows.evaluation.runs import find, open_run
from flows.evaluation.tables import exact, frame, read
from flows.evaluation.tasks.context import typed_context
from flows.evaluation.tasks.files import alike, ending, ready, warn, write
from flows.lattice import dequantise, quantise
from flows.signals import stop_if_asked
from flows.types import PositiveInt, Seed
from flows.wording import choose

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.05, 0.5, 0.95)


def impute(
    observed: Mapping[str, float | str | bool] | None = None,
    input: str | None = None,
    output: str | None = None,
    n: PositiveInt = 1000,
    context: list[float] | None = None,
    run: str = "latest",
    checkpoint: Literal["best", "last"] = "best",
    data: Mapping[str, str] | None = None,
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Draw n examples that share the features observed, or fill the empty cells of a table, each once.

    Cells that a table gives stay as they are written, and so do its other columns. On a lattice an observed
    value is spread over its cell before it is looked at, and draws are brought back onto the lattice.

    Args:
        observed: Values of some features, by name; a categorical one by the name of its level.
        input: A CSV or Parquet table with the columns the model was trained on, instead.
        output: The file: of the input's kind, CSV or Parquet without one; by default `imputed.csv`, or
            `imputed.parquet`, in the run's `evaluation`.
        n: How many draws of `observed`.
        context: With `observed`, one value for each of the context's names.
        run: The run's directory, or `latest`.
        checkpoint: Which weights.
        data: Where files of its dataset lie now, by their keys.
        seed: Of the draws: equal seeds give equal files.
        trusted_packages: Packages of the user's own that the run's configuration may name.

    Raises: UserError if the run's model doesn't know every conditional, or what is given doesn't fit it.
    """
    if (observed is None) == (input is None):
        raise UserError("task=impute: give either observed='{NAME: VALUE}' or input=FILE")
    opened = open_run(find(run), checkpoint, trusted_packages, data)
    model, spec = opened.density, opened.saved.spec
    if not isinstance(model, AnySubset):
        raise UserError(
            f"run={opened.saved.path}: its model doesn't know every feature given any others; "
            "train one that does (model=masked_transformer trainer=masked)"
        )
    kinds = KINDS if input is None else alike(Path(input), KINDS)
    path = Path(output) if output else opened.saved.path / "evaluation" / f"imputed{kinds[0]}"
    kind = ending(path, kinds)
    generator = torch.Generator().manual_seed(seed)
    if input is None:
        given = _given(observed or {}, spec)
        about = typed_context(context, spec)
        ready(path.parent)
        x = torch.tensor(given, dtype=torch.float64).expand(n, -1)
        contexts = None if about is None else about.expand(n, -1)
        filled = _fill(model, x, x.isnan(), contexts, spec, generator)
        table = frame(filled.to(place(model)[1]), contexts, spec)
        table = table if kind == ".csv" else exact(table, spec)
        said = _summary(
            table, [name for name, value in zip(spec.names, given, strict=True) if value != value]
        )
        done = f"{n:,} draws"
    else:
        if context is not None:
            raise UserError("context: with input=, contexts are columns of the table; leave it out")
        rows = read(Path(input), spec, place(model)[1], gaps="features")
        _check_numbers(rows.x, spec, input)
        ready(path.parent)
        empty = torch.stack([rows.empty[name] for name in spec.names], 1)
        filled = _fill(model, rows.x, empty, rows.context, spec, generator)
        drawn = frame(filled.to(place(model)[1]), None, spec)
        table = _written(rows.table, drawn if kind == ".csv" else exact(drawn, spec), empty)
        said = ""
        done = f"{int(empty.sum()):,} cells of {len(table):,} rows filled"
    warn(opened.warnings)
    written = content(table, kind)
    stop_if_asked()  # for the last time
    write(path, written)
    print(f"{said}{done}: {path}")


def _given(observed: Mapping[str, float | str | bool], spec: Spec) -> list[float]:
    """A value for each feature, NaN where none is observed."""
    values = dict.fromkeys(spec.names, float("nan"))
    for name, value in observed.items():
        if name not in values:
            raise UserError(f"observed.{name}: no such feature; {choose(name, spec.names, 'features')}")
        place = spec.names.index(name)
        values[name] = _number(name, value, spec.levels[place] if spec.levels else None)
        if _whole(spec, place) and values[name] % 1:
            raise UserError(f"observed.{name}={value}: expected a whole number, as the column has")
        low, high, slack = _range(spec, place)
        if not low <= values[name] <= high + slack:
            raise UserError(f"observed.{name}={value}: out of its range, {low:g} to {high:g}")
    return [*values.values()]


def _check_numbers(x: Tensor, spec: Spec, path: str) -> None:
    """See that numbers are of their columns' kind and range."""
    for column, name in enumerate(spec.names):
        broken = _whole(spec, column) & (x[:, column] % 1 > 0)
        if bool(broken.any()):
            row = int(broken.nonzero()[0])
            raise UserError(
                f"{path}: column {name}, row {row + 1}: {x[row, column]:g}, expected a whole number "
                f"({int(broken.sum())} of {len(x)} rows)"
            )
        low, high, slack = _range(spec, column)
        wrong = (x[:, column] < low) | (x[:, column] > high + slack)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise UserError(
                f"{path}: column {name}, row {row + 1}: {x[row, column]:g} is out of its range, {low:g} to "
                f"{high:g} ({int(wrong.sum())} of {len(x)} rows)"
            )


def _whole(spec: Spec, place: int) -> bool:
    """Whether a feature was a column of whole numbers."""
    return spec.dtypes is not None and "int" in spec.dtypes[place].lower()


def _range(spec: Spec, place: int) -> tuple[float, float, float]:
    """First and last value of a feature, and how far beyond rounding may carry it.

    Of a lattice the last is a point, and not the end of its cell.
    """
    low, high = spec.ends(place)
    step = (spec.quantum[place] if spec.quantum else None) or 0.0
    return low, high - step, step / 2


def _number(name: str, value: float | str | bool, levels: tuple[str, ...] | None) -> float:
    if levels:
        if str(value) not in levels:
            raise UserError(f"observed.{name}={value}: no such level; {choose(str(value), levels, 'levels')}")
        return float(levels.index(str(value)))
    if isinstance(value, str) or not abs(value) < float("inf"):
        raise UserError(f"observed.{name}={value}: expected a finite number")
    return float(value)


def _fill(
    model: AnySubset,
    x: Tensor,
    hidden: Tensor,
    context: Tensor | None,
    spec: Spec,
    generator: torch.Generator,
) -> Tensor:
    """x (N, D) with what is hidden drawn, float64: rows that lack the same features go together."""
    device, dtype = place(model)
    spread = dequantise(quantise(x, spec), spec, generator).to(device, dtype)
    filled = x.clone()
    for pattern in hidden.unique(dim=0):
        rows = (hidden == pattern).all(1).nonzero()[:, 0]
        for some in rows.split(BLOCK):
            stop_if_asked()
            about = None if context is None else context[some].to(device, dtype)
            drawn = model.impute(spread[some], ~pattern, about, generator).double().cpu()
            filled[some] = torch.where(pattern, quantise(drawn, spec), x[some])
    return filled


def _written(table: pd.DataFrame, filled: pd.DataFrame, empty: Tensor) -> pd.DataFrame:
    """The table as it was, with what was drawn in its empty cells."""
    columns: dict[str, pd.Series] = {str(name): column for name, column in table.items()}
    for (name, drawn), holes in zip(filled.items(), empty.T.numpy(), strict=True):
        if holes.any():
            column, drawn = _joinable(columns[str(name)], drawn)
            columns[str(name)] = column.where(~holes, drawn)
    return table.assign(**columns)


def _joinable(column: pd.Series, drawn: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Both in a type that holds what stands in the one and what was drawn: that of the column, if it does."""
    import pandas as pd
    from pandas.api import types

    if isinstance(column.dtype, pd.CategoricalDtype):
        known = column.cat.categories
        drawn = drawn.astype(str) if types.is_string_dtype(known.dtype) else drawn
        column = column.cat.add_categories([level for level in drawn.unique() if level not in known])
    elif types.is_string_dtype(column.dtype):
        drawn = drawn.astype(str)
    elif types.is_float_dtype(drawn.dtype) and not types.is_float_dtype(column.dtype):
        column = column.astype("Float64")
    elif types.is_integer_dtype(column.dtype) and types.is_integer_dtype(drawn.dtype):
        ends = np.iinfo(column.dtype.name.lower())
        if drawn.min() < ends.min or drawn.max() > ends.max:
            column = column.astype("Int64")
    return column, drawn


def _summary(table: pd.DataFrame, hidden: Sequence[str]) -> str:
    """Quantiles of what was drawn, a line a feature; nothing of what has no order."""
    numbers = table[[*hidden]].select_dtypes("number")
    if numbers.empty:
        return ""
    lines = numbers.quantile([*QUANTILES], interpolation="nearest").T
    lines.columns = [f"{quantile:.0%}" for quantile in QUANTILES]
    return f"{lines.to_string(float_format=lambda v: f'{v:.4g}')}\n"
