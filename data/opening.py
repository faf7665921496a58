"""Gridded files, opened and not yet read."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

MAGIC = {b"CDF": "scipy", b"\x89HDF": "h5netcdf"}


def opened(path: str) -> xr.Dataset:
    """Variables of a NetCDF-3 or NetCDF-4 file, or of a Zarr store, read when they are asked for.

    A pattern such as `era5_*.nc` opens all files that fit: other times, other variables, or both, on one
    grid. Packed values are unpacked, fill values are NaN, times are decoded.

    Raises: UserError if nothing is there, it isn't such a file, or the files' grids differ.
    """
    files = _files(path)
    engines = [_engine(file) for file in files]
    if len(files) == 1:
        return _open(files[0], engines[0])
    return _join([_open(file, engine) for file, engine in zip(files, engines, strict=True)], files, path)


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
    with file.open("rb") as start:
        found = [
            engine for magic, engine in MAGIC.items() if start.read(4).startswith(magic) or start.seek(0)
        ]
    if not found:
        raise UserError(f"{file}: is neither NetCDF-3, NetCDF-4 nor Zarr")
    return found[0]


def _open(file: Path, engine: str) -> xr.Dataset:
    import xarray as xr

    try:
        # cache=False: a variable that was read in part is not kept whole
        return xr.open_dataset(file, engine=engine, cache=False, decode_timedelta=False)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise UserError(f"{file}: can't be read ({' '.join(str(error).split())})") from None


def _join(parts: Sequence[xr.Dataset], files: Sequence[Path], path: str) -> xr.Dataset:
    """One dataset of several, whose axes but one are the same."""
    import xarray as xr

    first = parts[0]
    for part, file in zip(parts[1:], files[1:], strict=True):
        for axis in part.indexes:
            here, there = part.indexes[axis], first.indexes.get(axis)
            if there is None or here.dtype.kind not in "fiu" or here.equals(there):
                continue
            raise UserError(
                f"dataset.path={path}: the grids differ in {axis}: {file} has {_ends(here)}, "
                f"{files[0]} {_ends(there)}; regrid one, or give files of one grid"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of defaults that are all given here
            joined = xr.combine_by_coords(
                [part.chunk() for part in parts],
                data_vars="minimal",
                coords="minimal",
                compat="no_conflicts",
                join="exact",
                combine_attrs="override",
            )
            assert isinstance(joined, xr.Dataset)
            return joined
    except (ValueError, TypeError) as error:
        raise UserError(f"dataset.path={path}: files don't join ({' '.join(str(error).split())})") from None


def _ends(index: object) -> str:
    values = np.asarray(index)
    return f"{len(values)} values from {values[0]} to {values[-1]}"
