"""Members of fields in NetCDF."""

from __future__ import annotations

import json

import composed
import gridded
import hasty
import numpy as np
import pytest
import xarray as xr

from flows.core import Sampler
from flows.errors import UserError
from flows.evaluation.field_figures import field_figures
from flows.evaluation.runs import find, open_run
from flows.evaluation.tasks.report import report
from flows.evaluation.tasks.sample import sample

TINY = ("trainer.max_steps=2", "model.width=8", "logger=csv", "logger.describe=false", "runtime.threads=1")


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    hasty.hurry(monkeypatch)


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """A run on a gridded file with another calendar."""
    folder = tmp_path_factory.mktemp("weather")
    times = xr.date_range("2000-02-28", periods=60, calendar="noleap", use_cftime=True)
    file = gridded.saved(folder, gridded.weather(time=times))
    given = ("experiment=netcdf_downscaling", f"dataset.path={file}", "dataset.target=[t2m,msl]")
    composed.run(folder / "run", *given, "dataset.coarsen=3", "dataset.static=[z]", *TINY)
    return folder


def drawn(folder, run, name="members.nc", **options):
    path = folder / "out" / name
    sample(str(path), run=str(run), **({"n": 3} | options))
    return xr.load_dataset(path)


def test_members_have_the_coordinates_and_attributes_of_the_data(weather, tmp_path, capsys):
    found = drawn(tmp_path, weather / "run")
    assert "3 members of 12 test cases: " in capsys.readouterr().out
    source = xr.load_dataset(weather / "weather.nc")[["t2m", "msl"]].isel(time=slice(48, 60))
    assert found.sizes == {"member": 3, "time": 12, "latitude": 7, "longitude": 9}
    assert dict(found.t2m.sizes) == found.sizes
    xr.testing.assert_identical(found.drop_vars(["t2m", "msl", "member"]), source.drop_vars(["t2m", "msl"]))
    assert found.time.dt.calendar == "noleap"
    assert found.t2m.attrs == source.t2m.attrs
    assert found.msl.attrs == {"units": "Pa"}
    assert found.attrs == source.attrs
    assert found.t2m.dtype == np.float32
    assert abs(float(found.t2m.mean() - source.t2m.mean())) < 5  # in Kelvin, each in its own variable
    assert abs(float(found.msl.mean() / source.msl.mean()) - 1) < 0.05


def test_members_of_a_file_of_longitudes_first_open_with_its_coordinates(tmp_path):
    whole = gridded.weather()
    for name, axis in (("latitude", "Y"), ("longitude", "X")):
        whole[name].attrs |= {"standard_name": name, "axis": axis}
    source = whole.transpose("time", "longitude", "latitude")
    file = gridded.saved(tmp_path, source.assign_coords(area=source.z / 2))
    given = ("experiment=netcdf_downscaling", f"dataset.path={file}", "dataset.target=[t2m]")
    composed.run(tmp_path / "run", *given, "dataset.coarsen=3", "dataset.static=[z]", *TINY)
    found, source = drawn(tmp_path, tmp_path / "run"), xr.load_dataset(file).isel(time=slice(48, 60))
    assert found.t2m.dims == ("member", "time", "latitude", "longitude")
    assert found.t2m.attrs == source.t2m.attrs
    for name in ("time", "latitude", "longitude"):
        xr.testing.assert_identical(found[name].drop_vars("area", errors="ignore"), source[name])
    xr.testing.assert_identical(found.area, source.area.T)


class Echo(Sampler):
    """Draws the first two channels of its context."""

    def sample(self, n, context=None, generator=None):
        return context[:, :2].expand(n, -1, -1, -1, -1)


def test_members_are_draws_under_each_cases_own_context(weather, tmp_path, monkeypatch):
    opened = open_run(find(str(weather / "run")), "best", ())
    opened.density = Echo()
    monkeypatch.setattr("flows.evaluation.tasks.sample.open_run", lambda *_: opened)
    test = opened.dataset.source("test").take(slice(None))
    for cases, places in ((None, [*range(12)]), (3, [0, 6, 11])):
        found = drawn(tmp_path, weather / "run", f"{cases}.nc", cases=cases)
        for member in range(3):
            np.testing.assert_allclose(found.t2m[member], test.context[places, 0], rtol=1e-6)
            np.testing.assert_allclose(found.msl[member], test.context[places, 1], rtol=1e-6)


def test_equal_seeds_give_equal_files(weather, tmp_path):
    found = drawn(tmp_path, weather / "run", n=50)
    again = drawn(tmp_path, weather / "run", "again.nc", n=50)
    other = drawn(tmp_path, weather / "run", "other.nc", n=50, seed=1)
    assert found.equals(again)
    assert not found.equals(other)
    assert len(np.unique(found.t2m)) > 0.9 * found.t2m.size
    assert np.isfinite(found.t2m).all()


def test_figures_have_the_north_above(weather):
    opened = open_run(find(str(weather / "run")), "best", ())
    figures = field_figures(opened.density, opened.dataset, "test", 0, 4)
    truth = next(axes for axes in figures["fields_t2m"].axes if axes.get_title("left") == "truth")
    source = xr.load_dataset(weather / "weather.nc").t2m[48]
    assert source.latitude[0] > source.latitude[-1]
    [image] = truth.get_images()
    assert image.origin == "lower"
    np.testing.assert_allclose(image.get_array(), source[::-1].astype(float))


def test_fewer_cases_are_evenly_spread(weather, tmp_path):
    found = drawn(tmp_path, weather / "run", cases=3)
    source = xr.load_dataset(weather / "weather.nc").isel(time=[48, 54, 59])
    assert list(found.time.values) == list(source.time.values)


def test_the_report_judges_such_a_run(weather):
    report(run=str(weather / "run"), output=str(weather / "report"), n_members=4)
    metrics = json.loads((weather / "report" / "metrics.json").read_text())
    assert metrics["cases"] == 12
    for key in ("crps", "crps_climatology", "crps_interpolation", "energy_score", "nll_per_dim"):
        assert np.isfinite(metrics[key])
    page = (weather / "report" / "report.html").read_text()
    assert "n=50 output=members.nc" in page


@pytest.mark.parametrize("trainer", ["likelihood", "wgan_gp"])
def test_fields_without_some_cells_are_learned_judged_and_drawn(tmp_path, trainer):
    whole = gridded.weather()
    sea = xr.zeros_like(whole.t2m[0], bool)
    sea[1:5, 2:7] = True
    file = gridded.saved(tmp_path, whole.assign(t2m=whole.t2m.where(~sea)), "sea.nc")
    given = ("experiment=netcdf_downscaling", f"trainer={trainer}", f"dataset.path={file}")
    options = ("dataset.target=[t2m,msl]", "dataset.coarsen=3", "dataset.missing=exclude")
    composed.run(tmp_path / "run", *given, *options, *TINY)
    report(run=str(tmp_path / "run"), output=str(tmp_path / "report"), n_members=5)
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["nll_per_dim"] == pytest.approx(metrics["nll"] / (63 + 63 - 20))
    assert all(np.isfinite(value) for value in metrics.values())
    assert {"crps", "crps_climatology", "crps_interpolation", "log_spectral_distance"} <= metrics.keys()
    found = drawn(tmp_path, tmp_path / "run")
    np.testing.assert_array_equal(found.t2m.isnull().all(["member", "time"]), sea)
    np.testing.assert_array_equal(found.t2m.isnull().any(["member", "time"]), sea)
    assert not found.msl.isnull().any()


def test_patches_have_cases_for_their_first_axis(weather, tmp_path):
    given = ("experiment=netcdf_downscaling", f"dataset.path={weather / 'weather.nc'}", "dataset.patch=4")
    composed.run(tmp_path / "run", *given, "dataset.target=[t2m]", "dataset.coarsen=2", *TINY)
    found = drawn(tmp_path, tmp_path / "run", n=2, cases=6)
    assert found.t2m.dims == ("member", "case", "row", "column")
    assert found.latitude.shape == (6, 4)
    assert found.time.shape == (6,)


def test_packed_coordinates_and_a_projection_are_kept(tmp_path):
    whole = gridded.weather()
    whole["latitude"] = np.float32(np.linspace(54.6, 54.0, 7))
    whole.latitude.encoding = {"dtype": "int16", "scale_factor": 0.1, "add_offset": 50.0, "_FillValue": -1}
    whole["crs"] = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    whole.t2m.attrs["grid_mapping"] = "crs"
    file = gridded.saved(tmp_path, whole.assign_coords(member=3))
    given = ("experiment=netcdf_downscaling", f"dataset.path={file}", "dataset.target=[t2m]")
    composed.run(tmp_path / "run", *given, "dataset.coarsen=3", *TINY)
    found = drawn(tmp_path, tmp_path / "run")
    np.testing.assert_allclose(found.latitude, np.linspace(54.6, 54.0, 7), atol=1e-4)
    assert found.t2m.attrs["grid_mapping"] == "crs"
    assert found.crs.attrs == {"grid_mapping_name": "latitude_longitude"}
    assert found.t2m.dims[0] == "draw"
    assert int(found.member) == 3


def test_what_means_nothing_is_refused(weather, tmp_path):
    for options in ({"context": [1.0]}, {"raw": True}):
        with pytest.raises(UserError, match="means nothing to NetCDF"):
            sample(str(tmp_path / "m.nc"), run=str(weather / "run"), **options)
    with pytest.raises(UserError, match="cases=3: is for NetCDF"):
        sample(str(tmp_path / "m.npy"), run=str(weather / "run"), cases=3)


def test_fields_without_coordinates_are_written_too(tmp_path):
    sizes = (
        "dataset.height=8",
        "dataset.width=8",
        "dataset.n_train=64",
        "dataset.n_val=8",
        "dataset.n_test=5",
    )
    composed.run(tmp_path / "run", "experiment=grf_likelihood", *sizes, *TINY)
    found = drawn(tmp_path, tmp_path / "run")
    assert found.x0.dims == ("member", "case", "row", "column")
    assert found.sizes == {"member": 3, "case": 5, "row": 8, "column": 8}


def test_too_many_numbers_are_refused_with_what_would_fit(weather, tmp_path):
    with pytest.raises(UserError, match=r"more than 2\.7e\+08; give cases=2 or fewer members"):
        sample(str(tmp_path / "m.nc"), n=1_000_000, run=str(weather / "run"))
    assert not (tmp_path / "m.nc").exists()


def test_vectors_are_no_fields(tmp_path):
    composed.run(tmp_path / "run", "trainer.max_steps=2", "dataset.n_train=300", "logger=csv")
    with pytest.raises(UserError, match=r"are no fields; give \.csv, \.parquet or \.npy"):
        sample(str(tmp_path / "m.nc"), run=str(tmp_path / "run"))
