"""Parquet files as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path) -> pd.DataFrame:
    """All columns of a file, of the types they have there, by names that are text; rows counted from 0.

    What pandas kept as an index with a name is a column of the file, and so it is here.
    """
    import pandas as pd

    table = pd.read_parquet(path, engine="pyarrow", dtype_backend="numpy_nullable")
    named = [name for name in table.index.names if name is not None]
    table = (table.reset_index(level=named) if named else table).reset_index(drop=True)
    return table.set_axis([str(name) for name in table.columns], axis="columns")
