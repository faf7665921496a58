"""A table of numbers in an NPY file, of which only the rows that are asked for are read."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from flows.errors import UserError
from flows.wording import one_line


@final
class Npy:
    """An array (N, D), or (N,) with named fields, that stays in its file.

    Each read maps its own rows and lets go of them, so that what has been read isn't held: a file of any
    size takes the memory of one read.

    Args:
        path: The file.
        names: Of the columns, where the file has none; None for x0, x1, …

    Raises: UserError if the file holds no such array, or one of something else than numbers.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "t.npy"), np.zeros((5, 2), np.float32))
    ...     file = Npy(Path(folder, "t.npy"))
    ...     file.names, file.dtypes, len(file), file.read(1, 4, [0]).shape
    (('x0', 'x1'), ('float32', 'float32'), 5, (3, 1))
    """

    def __init__(self, path: Path, names: Sequence[str] | None = None) -> None:
        self.path = path
        array = _opened(path)
        self._rows, self._offset, self._dtype = len(array) if array.ndim else 0, array.offset, array.dtype
        self._columns = array.shape[1:]
        fields = array.dtype.names
        if array.ndim != 2 - (fields is not None):
            raise UserError(f"{path}: shape {array.shape}; expected rows × columns")
        if fields is None and not array.flags.c_contiguous:
            raise UserError(
                f"{path}: stored column by column, of which no rows can be read together; save it again with "
                "numpy.ascontiguousarray"
            )
        if names is not None and fields is not None:
            raise UserError(f"dataset.names: {path} has names of its own ({', '.join(fields)})")
        width = len(fields) if fields is not None else array.shape[1]
        if self._rows < 2 or not width:
            what = "no columns" if not width else "a single row" if self._rows else "no rows"
            raise UserError(f"{path}: has {what}; a density needs many")
        self.names = tuple(fields or checked(names, width, path) or (f"x{k}" for k in range(width)))
        kinds = [array.dtype[name] for name in fields] if fields is not None else [array.dtype] * width
        for name, kind in zip(self.names, kinds, strict=True):
            if kind.kind not in "fiu" or kind.shape:
                raise UserError(
                    f"{path}: column {name} holds {kind}, no numbers; leave it out of the file, or "
                    "dataset.mapped=false reads it whole"
                )
        self.dtypes = tuple(kind.name for kind in kinds)
        with path.open("rb") as opened:
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)  # for `expect`, never read

    def __len__(self) -> int:
        return self._rows

    @property
    def row_bytes(self) -> int:
        """What one row takes in the file."""
        return self._dtype.itemsize * int(np.prod(self._columns))

    def expect(self, start: int, stop: int) -> None:
        """Have the system fetch rows that will be read soon, many at once, instead of each as it is read."""
        begin, end = (self._offset + row * self.row_bytes for row in (start, stop))
        begin -= begin % mmap.PAGESIZE
        self._map.madvise(mmap.MADV_WILLNEED, begin, end - begin)

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        """Rows start, …, stop - 1 of some columns, float64 (rows, columns).

        Raises: UserError if they are no longer there.
        """
        shape, offset = (stop - start, *self._columns), self._offset + start * self.row_bytes
        try:
            rows = np.memmap(self.path, self._dtype, "r", offset, shape)
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: row {stop} can't be read any more ({error})") from None
        if not self._columns:
            return np.stack([rows[self.names[column]].astype(np.float64) for column in columns], axis=1)
        every = [*columns] == [*range(len(self.names))]
        return (rows if every else rows[:, [*columns]]).astype(np.float64)


def checked(names: Sequence[str] | None, width: int, path: Path) -> Sequence[str] | None:
    """Names for so many columns, as they are given.

    Raises: UserError if they are more, fewer, empty or doubled.
    """
    if names is None:
        return None
    if len(names) != width:
        raise UserError(f"dataset.names: {len(names)} names; {path} has {width} columns")
    for name in names:
        if not name or [*names].count(name) > 1:
            what = f"names {name} twice" if name else "has an empty name"
            raise UserError(f"dataset.names: {what}; give each column one of its own")
    return names


def _opened(path: Path) -> np.memmap:
    """The whole array, mapped and not read."""
    try:
        if path.is_dir():
            raise UserError(f"dataset.path={path}: is a folder; give a file in it")
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"dataset.path={path}: no such file") from None
    except UserError:
        raise
    except (OSError, ValueError, EOFError) as error:
        text = one_line(error)
        if "objects" in text:
            text = "holds Python objects, which are never unpickled; save it as numbers"
        elif "greater than file size" in text:
            text = "is shorter than its header says; it is truncated"
        else:
            text = f"can't be read as NPY ({text})"
        raise UserError(f"{path}: {text}") from None
