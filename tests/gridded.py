"""Small gridded files, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

TIMES, ROWS, COLUMNS = 60, 7, 9


def weather(times: int = TIMES, rows: int = ROWS, columns: int = COLUMNS, **coords: Any) -> xr.Dataset:
    """A temperature and a pressure over time, and a height, on a grid; latitudes fall, as ERA5's do."""
    noise = np.random.default_rng(0).normal(size=(2, times, rows, columns)).astype(np.float32)
    wave = np.sin(np.arange(columns)) + np.arange(rows)[:, None]
    over = ("time", "latitude", "longitude")
    return xr.Dataset(
        {
            "t2m": (over, 280 + wave + noise[0], {"units": "K", "long_name": "2 metre temperature"}),
            "msl": (over, 1e5 + 100 * noise[1] + 10 * noise[0], {"units": "Pa"}),
            "z": (("latitude", "longitude"), 100 * wave, {"units": "m"}),
        },
        {
            "time": pd.date_range("2001-02-03", periods=times),
            "latitude": ("latitude", np.linspace(60, 54, rows), {"units": "degrees_north"}),
            "longitude": ("longitude", np.linspace(-3, 5, columns), {"units": "degrees_east"}),
            **coords,
        },
        {"title": "weather of a test", "Conventions": "CF-1.8"},
    )


def saved(folder: Path, dataset: xr.Dataset | None = None, name: str = "weather.nc") -> Path:
    """A NetCDF-4 file of it."""
    path = folder / name
    (weather() if dataset is None else dataset).to_netcdf(path, engine="h5netcdf")
    return path
