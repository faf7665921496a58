"""A table from a file, each column with the type it has there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from flows.errors import UserError
from flows.parquet import read_parquet
from flows.wording import MISSING, one_line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read(path: Path) -> dict[str, pd.Series]:
    """Columns of a CSV, Parquet, NPY or NPZ file by name, of the types they have there, rows counted from 0.

    CSV is UTF-8 with a header and commas; a cell that is empty or reads NA, NaN, null, None or alike
    (`flows.wording.MISSING`) is missing.
    An array without names has columns x0, x1, …; several arrays of an NPZ are a column each.

    Raises: UserError if there is no such file, no table in it, or two columns of one name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("a,b\\n1,2\\n3,4\\n5,6\\n")
    ...     {name: column.shape for name, column in read(path).items()}
    {'a': (3,), 'b': (3,)}
    """
    kind = path.suffix.lower()
    if kind not in READERS:
        raise UserError(f"dataset.path={path}: give a file that ends in {', '.join(READERS)}")
    try:
        if path.is_dir():
            raise UserError(f"dataset.path={path}: is a folder; give a file in it")
        frame = READERS[kind](path)
    except FileNotFoundError:
        raise UserError(f"dataset.path={path}: no such file") from None
    except UserError:
        raise
    except (OSError, EOFError, ValueError, NotImplementedError, BadZipFile) as error:
        raise UserError(f"{path}: can't be read as {kind[1:].upper()} ({_line(error)})") from None
    if len(frame) < 2:
        raise UserError(f"{path}: has {'a single row' if len(frame) else 'no rows'}; a density needs many")
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        count = [*frame.columns].count(doubled[0])
        raise UserError(f"{path}: {count} columns are called {doubled[0]}; rename them")
    frame = frame.reset_index(drop=True)
    return {str(name): column for name, column in frame.items()}


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        # read by itself, since pandas renames doubled names
        head = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        names = [str(name) for name in head.iloc[0]]
        _check_header(names, path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of surplus cells, which it would drop
            frame = pd.read_csv(
                path,
                index_col=False,
                na_values=[*MISSING],
                keep_default_na=False,
                dtype_backend="numpy_nullable",  # integers stay integers where some are missing
                low_memory=False,  # one type for a whole column
                skip_blank_lines=len(names) > 1,  # in a single column they are empty cells
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: empty; expected a header and rows") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8 text; save the table as UTF-8") from None
    except pd.errors.ParserWarning:
        raise UserError(f"{path}: rows have more cells than the header has names") from None
    return frame.set_axis(names, axis="columns")


def _check_header(names: list[str], path: Path) -> None:
    """Refuse a header that shows the wrong separator, or that is a row of numbers."""
    found = [mark for mark in OTHER_SEPARATORS if mark in names[0]]
    if len(names) == 1 and found:
        raise UserError(
            f"{path}: a single column, {names[0]!r}: is it separated by {OTHER_SEPARATORS[found[0]]}? "
            "save it with commas"
        )
    if all(map(_is_number, names)) and not all(map(str.isdigit, names)):
        raise UserError(f"{path}: the first row is all numbers; expected a header with the columns' names")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _arrays(path: Path) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    arrays: dict[str, np.ndarray] = {}
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded:
                arrays = dict(loaded)
            loaded = next(iter(arrays.values())) if len(arrays) == 1 else None
    except ValueError as error:
        if "allow_pickle" not in str(error):  # which numpy advises to allow, of objects and of garbage
            raise
        raise UserError(f"{path}: holds no arrays of numbers or text") from None
    if loaded is not None and loaded.ndim == 2:
        arrays = {f"x{k}": column for k, column in enumerate(loaded.T)}
    if loaded is not None and loaded.dtype.names is not None:
        arrays = {name: loaded[name] for name in loaded.dtype.names}
    shapes = [array.shape for array in arrays.values()]
    if not shapes or len(shapes[0]) != 1 or len({*shapes}) > 1:
        found = shapes or ([] if loaded is None else [loaded.shape])
        raise UserError(
            f"{path}: shape{'s' * (len(found) != 1)} {', '.join(map(str, found)) or 'none'}; "
            "expected rows × columns, or columns of one length"
        )
    return pd.DataFrame({name: _native(column) for name, column in arrays.items()})


def _native(column: np.ndarray) -> np.ndarray:
    """In this machine's byte order, which pandas needs."""
    return column.astype(column.dtype.newbyteorder("="))


READERS = {".csv": _csv, ".parquet": read_parquet, ".npy": _arrays, ".npz": _arrays}


def _line(error: BaseException) -> str:
    return one_line(error).removeprefix("Error tokenizing data. C error: ")
