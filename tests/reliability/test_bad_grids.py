"""Gridded files that differ from each other, or from what they say of themselves."""

from __future__ import annotations

import gridded
import h5py
import numpy as np
import pytest
import xarray as xr

from data.netcdf import netcdf
from flows.errors import UserError


def test_row_23_any_fill_value_is_a_missing_cell(tmp_path):
    weather = gridded.weather()[["t2m"]].load()
    weather.t2m[3, 2, 1] = weather.t2m[8, 0, 0] = np.nan
    weather.t2m.encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    path = str(gridded.saved(tmp_path, weather))
    with pytest.raises(UserError, match=r"2 of 60 cases have missing .* first at time 2001-02-06, in t2m"):
        netcdf(path, ["t2m"])


def test_row_23_two_fill_values_are_both_missing_and_nothing_else_is_said(tmp_path, capsys):
    weather = gridded.weather()[["t2m"]].load()
    weather.t2m[3, 2, 1], weather.t2m[8, 0, 0] = -999.0, -888.0
    weather.t2m.encoding = {"_FillValue": np.float32(-999.0)}
    path = gridded.saved(tmp_path, weather)
    with h5py.File(path, "a") as file:
        file["t2m"].attrs["missing_value"] = np.float32(-888.0)
    with pytest.raises(UserError, match="2 of 60 cases have missing"):
        netcdf(str(path), ["t2m"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("attribute", ["scale_factor", "add_offset"])
def test_row_23_packing_that_is_none_is_one_line(tmp_path, attribute):
    path = gridded.saved(tmp_path, gridded.weather()[["t2m"]])
    with h5py.File(path, "a") as file:
        file["t2m"].attrs[attribute] = "much"
    with pytest.raises(UserError) as refusal:
        netcdf(str(path), ["t2m"]).source("train")
    assert "\n" not in str(refusal.value)


def in_two_files(folder, change):
    """The temperature, and the pressure changed, a file each."""
    weather = gridded.weather()
    gridded.saved(folder, weather[["t2m"]], "w1.nc")
    gridded.saved(folder, change(weather[["msl"]]), "w2.nc")
    return str(folder / "w*.nc")


@pytest.mark.parametrize(
    ("axis", "change"),
    [
        ("latitude", lambda msl: msl.isel(latitude=slice(None, None, -1))),
        ("longitude", lambda msl: msl.assign_coords(longitude=msl.longitude + 0.5)),
        ("longitude", lambda msl: msl.isel(longitude=slice(0, 8))),
        ("time", lambda msl: msl.assign_coords(time=msl.time + np.timedelta64(1, "D"))),
        ("time", lambda msl: msl.assign_coords(time=msl.time + np.timedelta64(6, "h"))),
        ("time", lambda msl: msl.isel(time=slice(0, 50))),
    ],
)
def test_row_24_files_whose_axes_differ_are_refused_with_the_axis(tmp_path, axis, change):
    path = in_two_files(tmp_path, change)
    with pytest.raises(UserError) as refusal:
        netcdf(path, ["t2m"], ["msl"])
    assert axis in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_row_24_files_whose_axes_are_the_same_are_joined_value_by_value(tmp_path):
    dataset = netcdf(in_two_files(tmp_path, lambda msl: msl), ["t2m"], ["msl"])
    x, context = dataset.source("train").take(slice(None))
    weather = gridded.weather()
    for found, name in ((x, "t2m"), (context, "msl")):
        xr.testing.assert_equal(
            xr.DataArray(found[:, 0].numpy(), dims=weather[name].dims),
            weather[name][: len(found)].astype(float).drop_vars([*weather.coords]).drop_attrs(),
        )
