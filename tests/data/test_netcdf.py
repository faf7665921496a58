"""Fields from NetCDF and Zarr: values, order, splits, and what is refused."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise

import composed
import gridded
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from data.cases import block_means
from data.grid import understand
from data.memory import InMemory
from data.netcdf import netcdf
from data.on_disk import OnDisk
from data.opening import opened
from flows.config import build
from flows.errors import UserError
from flows.masks import present


@pytest.fixture
def path(tmp_path):
    return str(gridded.saved(tmp_path))


def everything(dataset, part="train"):
    return dataset.source(part).take(slice(None))


@pytest.mark.parametrize("kind", ["NetCDF-4", "NetCDF-3", "Zarr", "a file for each month"])
def test_every_format_gives_the_values_of_the_file(tmp_path, kind):
    weather = gridded.weather()
    path = str(tmp_path / "w.nc")
    if kind == "NetCDF-3":
        weather.to_netcdf(path, engine="scipy")
    elif kind == "Zarr":
        path = str(tmp_path / "w.zarr")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weather.to_zarr(path)
    elif kind == "NetCDF-4":
        weather.to_netcdf(path, engine="h5netcdf")
    else:
        path = str(tmp_path / "w_*.nc")
        for month, part in weather[["t2m", "msl"]].groupby("time.month"):
            gridded.saved(tmp_path, part, f"w_{month}.nc")
        gridded.saved(tmp_path, weather[["z"]], "w_z.nc")
    dataset = netcdf(path, ["t2m"], ["msl"], ["z"], val=0.1, test=0.2)
    x, context = everything(dataset)
    assert (x.shape, x.dtype) == ((42, 1, 7, 9), torch.float64)
    np.testing.assert_array_equal(x[:, 0], weather.t2m[:42].astype(float))
    np.testing.assert_array_equal(context[:, 0], weather.msl[:42].astype(float))
    np.testing.assert_array_equal(context[:, 1], np.broadcast_to(weather.z, (42, 7, 9)))
    np.testing.assert_array_equal(everything(dataset, "val").x[:, 0], weather.t2m[42:48].astype(float))
    np.testing.assert_array_equal(everything(dataset, "test").x[:, 0], weather.t2m[48:].astype(float))
    assert dataset.spec.names == ("t2m",)
    assert dataset.spec.context_names == ("msl", "z")
    assert (dataset.spec.shape, dataset.spec.context_shape) == ((1, 7, 9), (2, 7, 9))


def test_parts_follow_each_other_with_gaps(path):
    dataset = netcdf(path, ["t2m"], gap=3)
    times = [np.asarray(dataset.layout(part).time) for part in ("train", "val", "test")]
    assert [len(each) for each in times] == [36, 6, 12]
    days = [(b[0] - a[-1]) / np.timedelta64(1, "D") for a, b in pairwise(times)]
    assert days == [4, 4]


def test_downscaling_leaves_days_out_between_its_parts(path):
    given = ("experiment=netcdf_downscaling", f"dataset.path={path}", "dataset.target=[t2m]")
    dataset = composed.dataset(*given, "dataset.coarsen=3")
    times = [np.asarray(dataset.layout(part).time) for part in ("train", "val", "test")]
    assert [(b[0] - a[-1]) / np.timedelta64(1, "D") for a, b in pairwise(times)] == [6, 6]


def test_a_lagged_context_is_that_of_the_steps_before(path):
    dataset = netcdf(path, ["t2m"], ["t2m", "msl"], lag=2)
    weather = gridded.weather()
    x, context = everything(dataset)
    np.testing.assert_array_equal(x[:, 0], weather.t2m[2 : 2 + len(x)].astype(float))
    np.testing.assert_array_equal(context[:, 0], weather.t2m[: len(x)].astype(float))
    assert dataset.spec.context_names == ("lag2_t2m", "lag2_msl")
    assert dataset.layout("train").time[0] == weather.time[2]
    given = everything(dataset, "val").context  # two steps before the first of validation
    trained = {x[k].numpy().tobytes() for k in range(len(x))}
    assert not trained & {field[:1].numpy().tobytes() for field in given}


def test_coarsened_the_target_is_its_own_context(path):
    dataset = netcdf(path, ["t2m", "msl"], coarsen=4)
    x, context = everything(dataset)
    assert dataset.spec.context_names == ("coarse_t2m", "coarse_msl")
    for rows, columns in (
        (slice(0, 4), slice(4, 8)),
        (slice(4, 7), slice(8, 9)),
    ):  # whole, and a corner's part
        means = x[..., rows, columns].mean((-2, -1), keepdim=True)
        torch.testing.assert_close(context[..., rows, columns], means.expand(x[..., rows, columns].shape))


def test_means_are_of_the_cells_that_are_there():
    x = torch.tensor([[[1.0, 2.0, torch.nan], [3.0, torch.nan, torch.nan]]]).double()
    expected = torch.tensor([[[2.0, 2.0, torch.nan], [2.0, 2.0, torch.nan]]]).double()
    torch.testing.assert_close(block_means(x, 2), expected, equal_nan=True)


def test_patches_tile_the_grid(path):
    dataset = netcdf(path, ["t2m"], static=["z"], patch=4, coarsen=2)
    assert dataset.spec.shape == (1, 4, 4)
    whole = everything(netcdf(path, ["t2m"], static=["z"], coarsen=2))
    x, context = everything(dataset)
    assert len(x) == 6 * len(whole.x)
    for place, (row, column) in enumerate([(0, 0), (0, 4), (0, 5), (3, 0), (3, 4), (3, 5)]):
        window = (..., slice(row, row + 4), slice(column, column + 4))
        torch.testing.assert_close(x[place::6], whole.x[window])
        torch.testing.assert_close(context[place::6], whole.context[window])
    layout = dataset.layout("test")
    assert layout.t2m.dims == ("case", "row", "column")
    np.testing.assert_array_equal(layout.t2m.astype(float), everything(dataset, "test").x[:, 0])
    assert layout.latitude.dims == ("case", "row")


def test_another_dimension_is_selected_or_asked_for(tmp_path):
    levels = xr.concat([gridded.weather()[["t2m"]] + k for k in range(3)], "level").transpose("time", ...)
    levels = levels.assign_coords(level=[500, 700, 850])
    path = str(gridded.saved(tmp_path, levels))
    with pytest.raises(UserError, match=r"dimensions .*; choose a place .* dataset\.select=\{level: 500\}"):
        netcdf(path, ["t2m"])
    x, _ = everything(netcdf(path, ["t2m"], select={"level": 700}))
    np.testing.assert_array_equal(x[:, 0], gridded.weather().t2m[:42].astype(float) + 1)
    with pytest.raises(UserError, match="level has no 600; it has 500, 700, 850"):
        netcdf(path, ["t2m"], select={"level": 600})
    with pytest.raises(UserError, match="no dimension levl; did you mean level"):
        netcdf(path, ["t2m"], select={"levl": 500})


def test_packed_values_and_other_calendars_are_understood(tmp_path):
    weather = gridded.weather()[["t2m"]]
    times = xr.date_range("2000-02-28", periods=60, calendar="360_day", use_cftime=True)
    weather = weather.assign_coords(time=times)
    weather.t2m.encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    dataset = netcdf(str(gridded.saved(tmp_path, weather)), ["t2m"])
    np.testing.assert_allclose(everything(dataset).x[:, 0], weather.t2m[:42], atol=0.006)
    assert dataset.layout("val").time.dt.calendar == "360_day"


def test_read_from_disk_it_gives_the_same(path, monkeypatch):
    """Whatever is read at once, and however little is kept."""
    memory = netcdf(path, ["t2m"], ["msl"], coarsen=3, patch=4).source("train")
    monkeypatch.setattr("data.observed.MEMORY", 0)
    made = netcdf(path, ["t2m"], ["msl"], coarsen=3, patch=4).source("train")
    assert isinstance(made, OnDisk)
    assert isinstance(memory, InMemory)
    case = sum(tensor[0].nbytes for tensor in memory.take(slice(0, 1)))
    for chunk, kept in ((1, 1), (20 * case, 50 * case), (90 * case, 10_000 * case)):
        source = OnDisk(made.cases, made.places, chunk, kept)
        index = torch.randperm(len(source), generator=torch.Generator().manual_seed(1))[:40]
        for ours, theirs in zip(source.take(index), memory.take(index), strict=True):
            assert torch.equal(ours, theirs)
        single = source.to(torch.device("cpu"), torch.float32).take(slice(3, 11))
        assert torch.equal(single.x, memory.take(slice(3, 11)).x.float())


def test_an_epoch_from_disk_meets_every_case_once_and_reads_each_run_once(path, monkeypatch):
    monkeypatch.setattr("data.observed.MEMORY", 0)
    made = netcdf(path, ["t2m"], ["msl"]).source("train")
    source = OnDisk(made.cases, made.places, 5 * made.cases.bytes, 20 * made.cases.bytes)
    reads = []
    read = source.cases.read
    monkeypatch.setattr(source.cases, "read", lambda *ends: reads.append(ends) or read(*ends))
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    blocks = [*source.order(6, generator)]
    for block in blocks:
        source.take(block)
        assert len(source._read) <= 4
    assert sorted(torch.cat(blocks).tolist()) == [*range(42)]
    assert len(reads) == len(set(reads)) == 9
    assert max(stop - start for start, stop in reads) <= 5
    assert torch.cat(blocks).tolist() != [*range(42)]
    generator.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(blocks, source.order(6, generator), strict=True))


def test_missing_cells_are_refused_with_place_and_count_or_dropped(tmp_path, capsys):
    weather = gridded.weather().load()
    weather.t2m[5, 2, 3] = np.nan
    weather.msl[7:9, 0, 0] = np.inf
    path = str(gridded.saved(tmp_path, weather))
    told = "3 of 60 cases have missing or infinite cells, the first at time 2001-02-08, in t2m"
    with pytest.raises(UserError, match=re.escape(told) + ".*missing=drop"):
        netcdf(path, ["t2m"], ["msl"])
    dataset = netcdf(path, ["t2m"], ["msl"], missing="drop")
    assert told in capsys.readouterr().err
    x, context = everything(dataset)
    assert len(x) == 39
    assert x.isfinite().all()
    assert context.isfinite().all()
    np.testing.assert_array_equal(x[:, 0], weather.t2m[[*range(5), 6, *range(9, 42)]].astype(float))
    weather.t2m[:, 0, 0] = np.nan
    path = str(gridded.saved(tmp_path, weather, "corner.nc"))
    with pytest.raises(UserError, match="none is left"):
        netcdf(path, ["t2m"], missing="drop")
    patches = netcdf(path, ["t2m"], patch=4, missing="drop")
    assert len(patches.source("test")) == 12 * 5  # all but the windows at that corner


def test_cells_that_no_case_has_are_excluded(tmp_path, capsys):
    weather = gridded.weather().load()
    sea = np.zeros((7, 9), bool)
    sea[2:6, 3:7] = True  # a block of 3 × 3 within it, which has no mean
    weather["t2m"] = weather.t2m.where(~sea)
    weather["z"] = weather.z.where(~sea)
    weather.t2m[5, 0, 0] = np.nan
    path = str(gridded.saved(tmp_path, weather))
    with pytest.raises(UserError, match="exclude cells that all lack"):
        netcdf(path, ["t2m", "msl"])
    dataset = netcdf(path, ["t2m", "msl"], static=["z"], coarsen=3, missing="exclude")
    told = "1 of 60 cases have missing or infinite cells, the first at time 2001-02-08, in t2m; dropped"
    assert told in capsys.readouterr().err
    x, context = everything(dataset)
    assert len(x) == 41
    there = present(dataset.spec.absent, dataset.spec.shape)
    np.testing.assert_array_equal(there, np.stack([~sea, np.ones_like(sea)]))
    seen = present(dataset.spec.context_absent, dataset.spec.context_shape)
    np.testing.assert_array_equal(seen[2], ~sea)
    assert seen[0].sum() == 63 - 9  # the one block that lies in the sea
    assert seen[1].all()
    for values, mask in ((x, there), (context, seen)):
        assert values[:, mask].isfinite().all()
        assert values[:, ~mask].isnan().all()
    with pytest.raises(UserError, match=r"patches lack different cells; give dataset\.patch=null"):
        netcdf(path, ["t2m"], patch=4, missing="exclude")
    weather["t2m"] = weather.t2m * np.nan
    with pytest.raises(UserError, match="t2m has no value in any case"):
        netcdf(str(gridded.saved(tmp_path, weather, "empty.nc")), ["t2m"], missing="exclude")


def test_of_several_files_no_more_is_read_than_asked_for(tmp_path, monkeypatch):
    for half in range(2):
        part = gridded.weather(240).isel(time=slice(120 * half, 120 * half + 120))
        gridded.saved(tmp_path, part[["t2m"]], f"w{half}.nc")
    monkeypatch.setattr("data.opening.CHUNK", 10 * 63 * 8)  # ten steps
    grid = understand(opened(str(tmp_path / "w*.nc"), "time"), ["t2m"], [], [], "time", {})
    assert set(grid.dataset.t2m.data.chunks[0]) == {10}
    np.testing.assert_array_equal(grid.dataset.t2m, gridded.weather(240).t2m)


def test_steps_without_dates_may_lie_in_several_files(tmp_path):
    whole = gridded.weather(time=np.arange(60))
    for half in range(2):
        gridded.saved(tmp_path, whole[["t2m"]].isel(time=slice(30 * half, 30 * half + 30)), f"w{half}.nc")
    dataset = netcdf(str(tmp_path / "w*.nc"), ["t2m"])
    np.testing.assert_array_equal(everything(dataset).x[:, 0], whole.t2m[:42].astype(float))


def test_a_file_that_is_damaged_inside_is_named(tmp_path):
    path = tmp_path / "w.nc"
    encoding = {"t2m": {"zlib": True, "chunksizes": (60, 7, 9)}}
    gridded.weather()[["t2m"]].to_netcdf(path, engine="h5netcdf", encoding=encoding)
    data = bytearray(path.read_bytes())
    middle = data.find(b"\x78\x5e") if b"\x78\x5e" in data else data.find(b"\x78\x01")
    data[middle + 40 : middle + 400] = bytes(360)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"dataset\.path: t2m can't be read \("):
        netcdf(str(path), ["t2m"])


REFUSED = {
    "its own context": ({"context": ["t2m"]}, r"context: t2m is the target too, which it would give away"),
    "nothing to lag": ({"lag": 2}, r"dataset\.lag=2: there is nothing to lag; give dataset\.context"),
    "a time selected": ({"select": {"time": "2001-03"}}, "time is what tells cases apart"),
    "a place of no axis": ({"select": {"latitude": 7.5}}, "latitude has no 7.5; it has 60.0, 59.0"),
    "no such file": ({"path": "nowhere.nc"}, r"dataset\.path=nowhere\.nc: no such file"),
    "no file fits": ({"path": "nowhere_*.nc"}, "no file fits this pattern"),
    "no variable": ({"target": ["t2"]}, r"dataset\.target: no variable t2; did you mean t2m"),
    "no target": ({"target": []}, r"dataset\.target: names nothing; variables: msl, t2m, z"),
    "twice": ({"context": ["msl", "msl"]}, r"dataset\.context: names msl twice"),
    "time": ({"time": "tim"}, r"dataset\.time=tim: t2m has no such dimension; it has time, latitude"),
    "static with time": (
        {"static": ["msl"]},
        r"static: msl lies on \(time, latitude, longitude\), but should",
    ),
    "context without time": (
        {"context": ["z"]},
        r"context: z lies on \(latitude, longitude\), but should on",
    ),
    "coarser than the grid": ({"coarsen": 8}, r"dataset\.coarsen=8: larger than the grid of 7 × 9 cells"),
    "patch": ({"patch": 8}, r"dataset\.patch=8: larger than the grid"),
    "lag": ({"lag": 60, "context": ["msl"]}, r"dataset\.lag=60: there are 60 times in all"),
    "too few": ({"gap": 25}, "leave none for train; give more steps or other shares"),
    "no validation": ({"val": 0.0}, "leave none for val"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cant_be_is_refused_in_one_line(path, name):
    options, told = REFUSED[name]
    with pytest.raises(UserError, match=told) as refusal:
        netcdf(**({"path": path, "target": ["t2m"]} | options))
    assert "\n" not in str(refusal.value)


def test_what_is_no_grid_is_refused(tmp_path):
    text = tmp_path / "a.nc"
    text.write_text("no fields")
    with pytest.raises(UserError, match="neither NetCDF-3, NetCDF-4 nor Zarr"):
        netcdf(str(text), ["t2m"])
    with pytest.raises(UserError, match="is a folder and no Zarr store"):
        netcdf(str(tmp_path), ["t2m"])
    cut = gridded.saved(tmp_path, name="cut.nc")
    cut.write_bytes(cut.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"cut\.nc: can't be read"):
        netcdf(str(cut), ["t2m"])
    counts = gridded.weather().assign(n=("time", np.arange(60)))
    with pytest.raises(
        UserError, match="n holds whole numbers, whose density is infinite; it may be context"
    ):
        netcdf(str(gridded.saved(tmp_path, counts, "counts.nc")), ["n"])
    named = gridded.weather().assign(name=("time", ["a"] * 60))
    with pytest.raises(UserError, match=r"name holds .*, no numbers"):
        netcdf(str(gridded.saved(tmp_path, named, "named.nc")), ["name"])


@pytest.mark.parametrize(
    ("axis", "order", "told"),
    [
        (
            "time",
            [0, 2, 1, 3],
            "time doesn't increase: 2001-02-05.* is followed by 2001-02-04.*; sort the file",
        ),
        ("time", [0, 1, 1, 3], "time doesn't increase"),
        ("time", [3, 2, 1, 0], "time doesn't increase"),
        ("longitude", [4, 5, 6, 0], "longitude doesn't go one way: 3.0 is followed by -3.0"),
        ("latitude", [0, 1, 1, 3], "latitude doesn't go one way"),
    ],
)
def test_an_axis_out_of_order_is_named(tmp_path, axis, order, told):
    path = gridded.saved(tmp_path, gridded.weather().isel({axis: order}))
    with pytest.raises(UserError, match=told):
        netcdf(str(path), ["t2m"])


def test_grids_that_differ_are_refused_with_the_axis(tmp_path):
    gridded.saved(tmp_path, gridded.weather(30), "w1.nc")
    later = gridded.weather(30, latitude=np.linspace(60, 50, 7))
    gridded.saved(tmp_path, later.assign_coords(time=later.time + np.timedelta64(30, "D")), "w2.nc")
    with pytest.raises(
        UserError, match=r"grids differ in latitude: .*w2\.nc has 7 values from 60\.0 to 50\.0"
    ):
        netcdf(str(tmp_path / "w*.nc"), ["t2m"])
    other = gridded.weather()[["msl"]].rename(latitude="lat")
    merged = gridded.weather()[["t2m"]].merge(other)
    with pytest.raises(UserError, match=r"msl lies on \(time, lat, longitude\), but should on"):
        netcdf(str(gridded.saved(tmp_path, merged, "m.nc")), ["t2m"], ["msl"])


SAID = {
    "standard names": ({"standard_name": "latitude"}, {"standard_name": "longitude"}),
    "a projection": (
        {"standard_name": "projection_y_coordinate"},
        {"standard_name": "projection_x_coordinate"},
    ),
    "axes": ({"axis": "Y"}, {"axis": "X"}),
    "units": ({"units": "degrees_north"}, {"units": "degree_E"}),
}


@pytest.mark.parametrize("kind", [*SAID, "lat, lon", "Latitude, Longitude", "y, x"])
def test_rows_are_latitudes_whatever_the_order_of_the_file(tmp_path, kind):
    """Of target, context and static fields alike, which may have orders of their own."""
    weather = gridded.weather()
    y, x = ("b", "a") if kind in SAID else kind.split(", ")
    weather = weather.rename(latitude=y, longitude=x)
    weather[y].attrs, weather[x].attrs = SAID.get(kind, ({}, {}))
    expected = netcdf(str(gridded.saved(tmp_path, weather)), ["t2m"], ["msl"], ["z"], patch=4)
    other = weather.assign(t2m=weather.t2m.transpose(x, "time", y), z=weather.z.transpose(x, y))
    found = netcdf(str(gridded.saved(tmp_path, other, "other.nc")), ["t2m"], ["msl"], ["z"], patch=4)
    for one, two in zip(everything(expected), everything(found), strict=True):
        assert torch.equal(one, two)
    whole = netcdf(str(tmp_path / "other.nc"), ["t2m"], ["msl"], ["z"])
    assert (whole.spec.shape, whole.spec.context_shape) == ((1, 7, 9), (2, 7, 9))
    assert whole.layout("test").t2m.dims == ("time", y, x)


def test_axes_that_cannot_be_told_stay_in_the_files_order(tmp_path):
    section = gridded.weather()[["t2m"]].rename(latitude="level", longitude="latitude").drop_vars("level")
    section.latitude.attrs = {"standard_name": "latitude"}
    assert netcdf(str(gridded.saved(tmp_path, section)), ["t2m"]).spec.shape == (1, 7, 9)


def dated(calendar, start="2000-01-01"):
    return gridded.weather(time=xr.date_range(start, periods=60, calendar=calendar, use_cftime=True))


@pytest.mark.parametrize("split", ["by time", "by variable"])
@pytest.mark.parametrize(
    ("calendar", "called"), [("360_day", "360_day"), ("standard", "standard"), (None, "plain numbers")]
)
def test_calendars_that_differ_are_refused_with_both_files(tmp_path, split, calendar, called):
    first = dated("noleap")
    then = dated(calendar, "2001-01-01") if calendar else gridded.weather(time=np.arange(60))
    names = ("t2m", "t2m") if split == "by time" else ("t2m", "msl")
    paths = [
        gridded.saved(tmp_path, part[[name]], f"w{k}.nc")
        for k, (part, name) in enumerate(zip((first, then), names, strict=True))
    ]
    with pytest.raises(UserError) as caught:
        netcdf(str(tmp_path / "w*.nc"), ["t2m"])
    assert str(caught.value) == (
        f"dataset.path: the calendars differ: {paths[1]} counts time in {called}, {paths[0]} in noleap; "
        "give files of one calendar"
    )


def test_files_of_one_calendar_of_their_own_join(tmp_path):
    weather = dated("360_day")
    for half in range(2):
        gridded.saved(tmp_path, weather[["t2m"]].isel(time=slice(30 * half, 30 * half + 30)), f"w{half}.nc")
    dataset = netcdf(str(tmp_path / "w*.nc"), ["t2m"])
    assert dataset.layout("val").time.dt.calendar == "360_day"


def test_a_context_before_a_hole_in_time_is_none(tmp_path, capsys):
    """Summers of two years, and months, whose lengths differ."""
    weather = gridded.weather()
    summers = [*pd.date_range("2000-06-01", periods=30), *pd.date_range("2001-06-01", periods=30)]
    dataset = netcdf(
        str(gridded.saved(tmp_path, weather.assign_coords(time=summers))), ["t2m"], ["t2m"], lag=2
    )
    said = capsys.readouterr().err
    assert said == (
        "dataset.lag=2: 2 of 58 times have no context, since times before them are missing, the first "
        "time 2001-06-01; dropped\n"
    )
    found = [time for part in ("train", "val", "test") for time in dataset.layout(part).time.values]
    assert not {np.datetime64("2001-06-01", "ns"), np.datetime64("2001-06-02", "ns")} & {*found}
    assert np.datetime64("2001-06-03", "ns") in found
    long = gridded.weather(160)
    months = long.assign_coords(time=pd.date_range("2000-01-01", periods=160, freq="MS"))
    for lag in (1, 36):
        netcdf(str(gridded.saved(tmp_path, months, "months.nc")), ["t2m"], ["t2m"], lag=lag)
    assert capsys.readouterr().err == ""


def test_counts_are_counts_whatever_xarray_makes_of_them(tmp_path):
    """Integers with a value that marks what is missing are decoded to floats; packed floats are floats."""
    weather = gridded.weather()
    counts = weather.assign(t2m=weather.t2m.round().where(weather.t2m > 0))
    counts.t2m.encoding = {"dtype": "int16", "_FillValue": -1}
    with pytest.raises(UserError, match="t2m holds whole numbers"):
        netcdf(str(gridded.saved(tmp_path, counts)), ["t2m"])
    weather.t2m.encoding = {"dtype": "int16", "_FillValue": -1, "scale_factor": 0.01, "add_offset": 273.0}
    netcdf(str(gridded.saved(tmp_path, weather, "packed.nc")), ["t2m"])


def test_a_dimension_without_coordinates_is_selected_by_number(tmp_path):
    weather = gridded.weather()[["t2m"]]
    several = xr.concat([weather, weather + 1, weather + 2], "member").drop_vars("member", errors="ignore")
    path = str(gridded.saved(tmp_path, several))
    x, _ = everything(netcdf(path, ["t2m"], select={"member": 1}))
    np.testing.assert_array_equal(x[:, 0], (weather.t2m + 1)[: len(x)].astype(float))
    config = {"_target_": "data.netcdf.netcdf", "path": path, "target": ["t2m"], "select": {"member": 1}}
    assert torch.equal(everything(build(config, "dataset"))[0], x)
    with pytest.raises(UserError, match=r"dataset\.select: member has no 0\.5; it has 0, 1, 2"):
        netcdf(path, ["t2m"], select={"member": 0.5})


def test_fields_without_cells_are_refused(tmp_path):
    path = gridded.saved(tmp_path, gridded.weather().isel(latitude=slice(0, 0)))
    with pytest.raises(UserError, match="fields of 0 × 9 cells; each side needs one"):
        netcdf(str(path), ["t2m"])


@pytest.mark.parametrize("names", [("w0.nc",), ("w0.nc", "w1.nc")])
def test_files_without_times_are_refused_or_add_nothing(tmp_path, names):
    weather = gridded.weather()
    for name, times in zip(names, (slice(0, 0), slice(0, 60)), strict=False):
        gridded.saved(tmp_path, weather.isel(time=times), name)
    if len(names) == 1:
        with pytest.raises(UserError, match=r"time has no values, so there are no cases"):
            netcdf(str(tmp_path / "w*.nc"), ["t2m"])
    else:
        assert len(netcdf(str(tmp_path / "w*.nc"), ["t2m"]).source("train")) == 42
