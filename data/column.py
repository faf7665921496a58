"""One column of a table as numbers, refused if no density of them could be finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from flows.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 2**15  # steps from 0 at which float32, in which models compute, still fills a lattice's cell
LARGEST = 1e38  # the end of float32, with room for a difference
ROUNDING = 1e-3  # most of a column's range that float32 may round away

Categorical = Literal["refuse", "dequantise"]


class Column(NamedTuple):
    """Numbers (N,), float64, codes where categorical; of what type they were; what the codes stand for; the
    step in which floats were recorded, None where continuous.

    >>> column = Column(np.array([0.0, 1.0, 1.0]), "str", ("cat", "dog"))
    >>> column.quantum, column.support, column.labels("pet"), column.as_context().shape
    (1.0, (0.0, 2.0), ['pet=cat', 'pet=dog'], torch.Size([3, 2]))
    """

    values: np.ndarray
    dtype: str
    levels: tuple[str, ...] | None = None
    recorded: float | None = None

    @property
    def quantum(self) -> float | None:
        """Step of its lattice; None where continuous."""
        return self.recorded or step(self.dtype)

    @property
    def support(self) -> tuple[float, float] | None:
        """All its cells; None where unbounded."""
        return None if self.levels is None else (0.0, float(len(self.levels)))

    def labels(self, name: str) -> list[str]:
        """What its columns are called as context."""
        return [name] if self.levels is None else [f"{name}={level}" for level in self.levels]

    def as_context(self) -> Tensor:
        """(N, 1), or one-hot (N, K)."""
        values = torch.from_numpy(self.values)
        if self.levels is None:
            return values.unsqueeze(1)
        return torch.nn.functional.one_hot(values.long(), len(self.levels)).double()


def step(dtype: str) -> float | None:
    """Step of the lattice that a type's numbers lie on; None for floats."""
    return None if dtype.startswith("float") else 1.0


def understand(cells: pd.Series, categorical: Categorical) -> Column:
    """A column without missing cells as numbers.

    Args:
        cells: Its index counts the file's rows from 0.
        categorical: What becomes of text, categories and true/false.

    Raises: UserError, which names the column, if it isn't numbers or they are too large.
    """
    import pandas as pd
    from pandas.api import types

    dtype = cells.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        what = "categories"
        column = _coded(cells, "category")
    elif types.is_bool_dtype(dtype):
        what = "true and false"
        column = Column(cells.to_numpy(dtype=np.float64, copy=True), "bool", ("False", "True"))
    elif types.is_integer_dtype(dtype) or types.is_float_dtype(dtype):
        return Column(cells.to_numpy(dtype=np.float64, copy=True), str(dtype).lower())
    elif types.is_string_dtype(cells):
        _check_stray(cells)
        what = f"text, such as {cells.iloc[0]!r}"
        column = _coded(cells.astype("category"), "str")
    else:
        raise UserError(f"column {cells.name} holds {dtype}, neither numbers nor text; leave it out")
    if categorical == "refuse":
        raise UserError(
            f"column {cells.name} holds {what}, which has no density; leave it out, "
            "or give dataset.categorical=dequantise"
        )
    return column


class Extent(NamedTuple):
    """How far the numbers of a column reach, and what float32 makes of them; of parts, `|` joins them.

    Args:
        low, high: The least and the greatest.
        farthest: The first of those farthest from 0.
        row: Where that is, as the file counts, from 1.
        rounding: By how much float32 rounds at most.
        rows: How many there are.

    >>> Extent.of(np.array([1.0, -3.0])) | Extent.of(np.array([2.5]), 2)
    Extent(low=-3.0, high=2.5, farthest=-3.0, row=2, rounding=0.0, rows=3)
    """

    low: float
    high: float
    farthest: float
    row: int
    rounding: float
    rows: int

    @classmethod
    def of(cls, values: np.ndarray, first: int = 0) -> Self:
        """Of values (N,), at least one, of the rows first, first + 1, … counted from 0."""
        low, high = float(values.min()), float(values.max())
        farthest = max(abs(low), abs(high))
        place = int((np.abs(values) == farthest).argmax())
        with np.errstate(over="ignore"):  # beyond float32, which is refused
            rounding = float(np.abs(values - values.astype(np.float32)).max())
        return cls(low, high, float(values[place]), first + place + 1, rounding, len(values))

    def __or__(self, after: Extent) -> Extent:
        far = self if abs(self.farthest) >= abs(after.farthest) else after
        return Extent(
            min(self.low, after.low),
            max(self.high, after.high),
            far.farthest,
            far.row,
            max(self.rounding, after.rounding),
            self.rows + after.rows,
        )


def extent(column: Column, cells: pd.Series) -> Extent:
    """That of a whole column, its row as the file counts, whatever rows have been left out."""
    found = Extent.of(column.values)
    return found._replace(row=_row(cells, found.row - 1))


def check_feature(name: str, found: Extent, quantum: float | None) -> None:
    """Refuse a feature that float32 can't tell apart, or whose density would be infinite.

    Raises: UserError, which names the column.
    """
    if quantum is None:
        check_range(name, found)
        if found.low == found.high:
            raise UserError(
                f"column {name} is {found.low} in all {found.rows} rows, where its density would be "
                "infinite; leave it out"
            )
        return
    if abs(found.farthest) > FARTHEST * quantum:
        raise UserError(
            f"column {name}, row {found.row}: {found.farthest:.12g} is beyond ±{FARTHEST * quantum:.12g}, "
            f"where float32 can't be spread over a step of {quantum:g}; subtract an offset or, where values "
            "hardly recur, save the column as floats"
        )


def check_range(name: str, found: Extent) -> None:
    """Refuse numbers that float32 can't tell apart.

    Raises: UserError, which names the column.
    """
    if abs(found.farthest) > LARGEST:
        raise UserError(
            f"column {name}, row {found.row}: {found.farthest:g} is beyond ±{LARGEST:g}, where "
            "float32 ends; rescale the column"
        )
    width = found.high - found.low
    if width > 0 and found.rounding > ROUNDING * width:
        raise UserError(
            f"column {name} extends over {width:.2g} about {found.farthest:g}, where float32 rounds by "
            f"{found.rounding:.1g}; subtract an offset"
        )


def _coded(cells: pd.Series, dtype: str) -> Column:
    """Codes of a categorical column: in its own order if it has one, else sorted."""
    kinds = cells.cat.remove_unused_categories()
    if not kinds.cat.ordered:
        kinds = kinds.cat.reorder_categories(sorted(kinds.cat.categories))
    return Column(kinds.cat.codes.to_numpy(dtype=np.float64), dtype, tuple(map(str, kinds.cat.categories)))


def _check_stray(cells: pd.Series) -> None:
    """Refuse text in what is, by majority, a column of numbers."""
    import pandas as pd

    numbers = pd.Series(pd.to_numeric(cells, errors="coerce"))
    stray = numbers.isna().to_numpy(dtype=bool)
    if 0 < stray.sum() <= len(stray) / 2:
        place = int(stray.argmax())
        raise UserError(
            f"column {cells.name}, row {_row(cells, place)}: {cells.iloc[place]!r} is no number "
            f"({stray.sum()} of {len(stray)} rows); correct it, or empty it and give dataset.missing=drop"
        )


def _row(cells: pd.Series, place: int) -> int:
    """A row as its file counts it, from 1."""
    return int(cells.index[place]) + 1
