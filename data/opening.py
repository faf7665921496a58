"""Gridded files, opened and not yet read."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.errors import UserError
from flows.wording import one_line

if TYPE_CHECKING:
    import xarray as xr

MAGIC = {b"CDF\x01": "scipy", b"CDF\x02": "scipy", b"\x89HDF": "h5netcdf"}
# what decoding makes of a file that contradicts itself
_BROKEN = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
CHUNK = 2**22  # bytes of one variable that are read at once where files are joined


def opened(path: str, time: str) -> xr.Dataset:
    """Variables of a NetCDF-3 or NetCDF-4 file, or of a Zarr store, read when they are asked for.

    A pattern such as `era5_*.nc` opens all files that fit: other times, other variables, or both, on one
    grid. Packed values are unpacked, fill values are NaN, times are decoded.

    Args:
        path: A file, a store, or a pattern; `~` is the home folder.
        time: The dimension in which files may follow each other.

    Raises: UserError if nothing is there, it isn't such a file, or the files' grids differ.
    """
    files = _files(str(Path(path).expanduser()))
    engines = [_engine(file) for file in files]
    if len(files) == 1:
        return _open(files[0], engines[0])
    parts = [_open(file, engine) for file, engine in zip(files, engines, strict=True)]
    full = [place for place, part in enumerate(parts) if part.sizes.get(time, 1)] or [0]
    return _join([parts[place] for place in full], [files[place] for place in full], time)


def _files(path: str) -> list[Path]:
    if glob.has_magic(path) and not Path(path).exists():
        root = Path(path).anchor
        files = sorted(Path(root).glob(path.removeprefix(root)))
        if not files:
            raise UserError(f"dataset.path={path}: no file fits this pattern")
        return files
    if not Path(path).exists():
        raise UserError(f"dataset.path={path}: no such file")
    return [Path(path)]


def _engine(file: Path) -> str:
    if file.is_dir():
        if any((file / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata")):
            return "zarr"
        raise UserError(f"dataset.path={file}: is a folder and no Zarr store; give a file, or {file}/*.nc")
    try:
        with file.open("rb") as content:
            start = content.read(4)
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror})") from None
    if start not in MAGIC:
        raise UserError(f"{file}: is neither NetCDF-3, NetCDF-4 nor Zarr")
    return MAGIC[start]


def _open(file: Path, engine: str) -> xr.Dataset:
    import xarray as xr

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files: they are read or refused
            if engine == "h5netcdf":
                import h5py

                with h5py.File(file, "r") as content:
                    content.attrs.get("_nc3_strict")  # where it fails, h5netcdf would complain twice
            # cache=False: a variable that was read in part is not kept whole
            return xr.open_dataset(
                file, engine=engine, cache=False, decode_timedelta=False, decode_coords="all"
            )
    except _BROKEN as error:
        raise UserError(f"{file}: can't be read ({one_line(error)})") from None


def _join(parts: Sequence[xr.Dataset], files: Sequence[Path], time: str) -> xr.Dataset:
    """One dataset of several, whose axes but one are the same."""
    import xarray as xr

    first = parts[0]
    for part, file in zip(parts[1:], files[1:], strict=True):
        for axis in part.indexes:
            here, there = part.indexes[axis], first.indexes.get(axis)
            if str(axis) == time or there is None or bool(here.equals(there)):
                continue
            raise UserError(
                f"dataset.path: the grids differ in {axis}: {file} has {_ends(here)}, "
                f"{files[0]} {_ends(there)}; regrid one, or give files of one grid"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of defaults that are all given here
            joined = xr.combine_by_coords(
                [_lazy(part, time) for part in parts],
                data_vars="minimal",
                coords="minimal",
                compat="no_conflicts",
                join="exact",
                combine_attrs="override",
            )
            assert isinstance(joined, xr.Dataset)
            return joined
    except (ValueError, TypeError) as error:
        raise UserError(f"dataset.path: {files[0]} and others don't join ({one_line(error)})") from None


def _lazy(part: xr.Dataset, time: str) -> xr.Dataset:
    """In pieces of a few steps, so that no more is read than is asked for."""
    if time not in part.dims:
        return part.chunk()
    step = max(variable.nbytes // max(1, part.sizes[time]) for variable in part.variables.values())
    return part.chunk({time: max(1, CHUNK // max(1, step))})


def _ends(index: object) -> str:
    values = np.asarray(index)
    return f"{len(values)} values from {values[0]} to {values[-1]}"
