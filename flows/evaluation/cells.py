"""A table that a user hands in: as it stands, and each of its cells as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.errors import UserError
from flows.parquet import read_parquet
from flows.wording import one_line

if TYPE_CHECKING:
    import pandas as pd

KINDS = (".csv", ".parquet")


class Cells(NamedTuple):
    """The same rows twice.

    Args:
        table: Its columns as they stand: the text of a CSV file, the types of a Parquet file.
        text: Every cell as it would stand in a CSV file; one that is missing in Parquet is empty.
    """

    table: pd.DataFrame
    text: pd.DataFrame


def read_cells(path: Path, names: Sequence[str]) -> Cells:
    """Read a CSV or Parquet table; names are those that it should have.

    Raises: UserError if there is no such file, or no table in it.
    """
    reader = _parquet if path.suffix.lower() == ".parquet" else _csv
    try:
        return reader(path, names)
    except FileNotFoundError:
        raise UserError(f"input={path}: no such file") from None
    except (OSError, ValueError) as error:  # which the errors of pandas, pyarrow and of decoding are
        kind = "Parquet" if reader is _parquet else "CSV"
        raise UserError(f"{path}: not a {kind} table ({one_line(error)})") from None


def content(table: pd.DataFrame, kind: str) -> bytes:
    """The content of a file of that ending."""
    if kind == ".parquet":
        return table.to_parquet(index=False, engine="pyarrow")
    return table.to_csv(index=False).encode()


def _csv(path: Path, names: Sequence[str]) -> Cells:
    import pandas as pd

    try:
        # the header as a row like others: pandas would rename doubles and take surplus cells for an index
        cells = pd.read_csv(
            path,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=len(names) > 1,  # in a table of one column a blank line is an empty cell
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: empty; expected a header with {', '.join(names)}, and rows") from None
    rows = cells.iloc[1:].reset_index(drop=True).fillna("")
    text = rows.set_axis([str(name) for name in cells.iloc[0]], axis="columns")
    return Cells(text.copy(), text)


def _parquet(path: Path, names: Sequence[str]) -> Cells:
    import pandas as pd

    table = read_parquet(path)
    return Cells(table, pd.DataFrame({name: _texts(column) for name, column in table.items()}, dtype=str))


def _texts(column: pd.Series) -> pd.Series:
    """Numbers in all their digits."""
    from pandas.api.types import is_float_dtype

    show: Callable[[object], str] = repr if is_float_dtype(column.dtype) else str
    return column.astype(object).map(show, na_action="ignore").fillna("")
