"""What stands around fields in figures: units and coordinates of the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from data.grf import grf
from flows.evaluation.frame import Frame, Side, frame_of
from flows.evaluation.plots.crps import crps_panels
from flows.evaluation.plots.fields import field_panels


class Somewhere:
    """Fields of one channel that lie where a layout says."""

    spec = grf(height=3, width=4, block=1, n_train=4, n_val=4, n_test=4).spec._replace(names=("t2m",))
    truth = None

    def __init__(self, coords, units="K"):
        dims = ("time", "lat", "lon")
        variable = xr.DataArray(np.zeros((2, 3, 4)), dims=dims, coords=coords, attrs={"units": units})
        self.at = xr.Dataset({"t2m": variable})

    def source(self, part):
        return None

    def classes(self, part):
        return None

    def layout(self, part):
        return self.at


LAT = ("lat", [60.0, 50.0, 40.0], {"units": "degrees_north"})
LON = ("lon", [0.0, 1.0, 2.0, 3.5])


def test_units_and_the_ends_of_the_axes_are_those_of_the_file():
    found = frame_of(Somewhere({"lat": LAT, "lon": LON}), "test")
    assert found == Frame(
        ("t2m (K)",), Side("lat (degrees_north)", 40.0, 60.0), Side("lon", 0.0, 3.5), falls=True
    )


def test_axes_that_differ_from_case_to_case_are_not_shown():
    own = (("time", "lat"), [[60.0, 50.0, 40.0], [40.0, 30.0, 20.0]])
    assert frame_of(Somewhere({"lat": own, "lon": LON}), "test") == Frame(
        ("t2m (K)",), None, Side("lon", 0.0, 3.5), falls=True
    )


def test_an_axis_of_the_grid_comes_before_what_runs_along_it():
    around = (("lat", "lon"), np.arange(12.0).reshape(3, 4))
    found = frame_of(Somewhere({"curved": around, "lat": LAT, "lon": LON}), "test")
    assert (found.columns, found.falls) == (Side("lon", 0.0, 3.5), True)
    assert frame_of(Somewhere({"curved": around}), "test").columns is None


@pytest.mark.parametrize("units", ["", "1"])
def test_without_units_or_coordinates_there_are_names_alone(units):
    assert frame_of(Somewhere({}, units), "test") == Frame(("t2m",))
    drawn = grf(height=4, width=4, n_train=4, n_val=4, n_test=4)
    assert frame_of(drawn, "test") == Frame(drawn.spec.names)


AROUND = Frame(("t2m (K)",), Side("lat (degrees_north)", 40.0, 60.0), Side("lon", 0.0, 3.5))


def marks(axes):
    """Tick labels and names beside an image."""
    return (
        [label.get_text() for label in axes.get_yticklabels()],
        [label.get_text() for label in axes.get_xticklabels()],
        axes.get_ylabel(),
        axes.get_xlabel(),
    )


SHOWN = (["40", "60"], ["0", "3.5"], "lat (degrees_north)", "lon")


def test_fields_bear_the_coordinates_and_units_of_the_file():
    fields = torch.rand(2, 1, 3, 4)
    figure = field_panels(None, fields, torch.rand(2, 5, 1, 3, 4), AROUND)
    rows = [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    assert marks(rows[7]) == SHOWN  # the first of the last case
    assert marks(rows[0]) == ([], [], "", "")
    bars = [axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert bars == ["t2m (K)", "spread of t2m (K)"]


def test_maps_of_crps_bear_the_coordinates_and_units_of_the_file():
    figure = crps_panels(torch.rand(1, 3, 4), None, AROUND)
    assert marks(figure.axes[0]) == SHOWN
    assert figure.axes[1].get_ylabel() == "CRPS of t2m (K)"
