"""What the variables of a gridded file are: fields over time, on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flows.errors import UserError
from flows.wording import choose

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ROLES = {  # what a coordinate says of itself, as CF has it, or is called; in lower case
    "y": {
        "standard_name": ("latitude", "grid_latitude", "projection_y_coordinate"),
        "axis": ("y",),
        "units": ("degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"),
        "name": ("latitude", "lat", "rlat", "y"),
    },
    "x": {
        "standard_name": ("longitude", "grid_longitude", "projection_x_coordinate"),
        "axis": ("x",),
        "units": ("degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"),
        "name": ("longitude", "lon", "rlon", "x"),
    },
}


class Grid(NamedTuple):
    """Variables with the dimensions (time, y, x), static ones with (y, x); nothing of them is read yet."""

    dataset: xr.Dataset
    time: str
    y: str
    x: str

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dataset.sizes[self.y], self.dataset.sizes[self.x]


def understand(
    dataset: xr.Dataset,
    target: Sequence[str],
    context: Sequence[str],
    static: Sequence[str],
    time: str,
    select: Mapping[str, int | float | str],
) -> Grid:
    """The chosen variables, on the grid of the first target.

    Dimensions of one place are dropped. Rows are latitudes, or y, and columns longitudes, or x, in whatever
    order the file has them; axes that can't be told keep its order. They have to be monotonic, in either
    direction, and time increasing.

    Args:
        dataset: As it was opened.
        target, context, static: Names of variables; static ones have no time.
        time: The dimension along which cases follow each other.
        select: A place on each other dimension, such as {"level": 850}.

    Raises: UserError if a variable isn't there, is no number, or lies on another grid, or an axis is out of
        order.
    """
    chosen = {"target": target, "context": context, "static": static}
    for key, names in chosen.items():
        for name in names:
            _check_variable(dataset, name, key)
            if [*names].count(name) > 1:
                raise UserError(f"dataset.{key}: names {name} twice")
    if not target:
        raise UserError(f"dataset.target: names nothing; {choose('', [*map(str, dataset)], 'variables')}")
    dataset = _selected(dataset[[*dict.fromkeys([*target, *context, *static])]], select, time)
    y, x = _plane(dataset, target[0], time)
    for key, names in chosen.items():
        wanted = [y, x] if key == "static" else [time, y, x]
        for name in names:
            if {*dataset[name].dims} != {*wanted}:
                found = ", ".join(map(str, dataset[name].dims))
                raise UserError(
                    f"dataset.{key}: {name} lies on ({found}), but should on ({', '.join(wanted)}), where "
                    f"{target[0]} does; regrid one of them"
                )
    for axis in (time, y, x):
        if axis in dataset.indexes:
            _check_axis(axis, dataset.indexes[axis], axis == time)
    return Grid(dataset.transpose(time, y, x), time, y, x)


def _check_variable(dataset: xr.Dataset, name: str, key: str) -> None:
    if name not in dataset.data_vars:
        variables = [str(each) for each in dataset.data_vars]
        raise UserError(f"dataset.{key}: no variable {name}; {choose(name, variables, 'variables')}")
    if dataset[name].dtype.kind not in "fiub":
        raise UserError(f"dataset.{key}: {name} holds {dataset[name].dtype}, no numbers")
    if key == "target":
        check_continuous(name, _stored(dataset[name]))


def _stored(variable: xr.DataArray) -> np.dtype:
    """The type of the numbers in the file, of which xarray makes floats if some may be missing."""
    packed = {"scale_factor", "add_offset"} & variable.encoding.keys()
    return variable.dtype if packed else np.dtype(variable.encoding.get("dtype") or variable.dtype)


def check_continuous(name: str, dtype: np.dtype) -> None:
    """Refuse what has no density.

    Raises: UserError if it is of whole numbers.
    """
    if dtype.kind != "f":
        raise UserError(
            f"dataset.target: {name} holds whole numbers, whose density is infinite; it may be context"
        )


def _selected(dataset: xr.Dataset, select: Mapping[str, int | float | str], time: str) -> xr.Dataset:
    for axis, place in select.items():
        if axis == time:
            raise UserError(
                f"dataset.select: {time} is what tells cases apart; dataset.val and test split it"
            )
        if axis not in dataset.dims:
            axes = [str(each) for each in dataset.dims]
            raise UserError(f"dataset.select: no dimension {axis}; {choose(axis, axes, 'dimensions')}")
        try:
            if axis in dataset.indexes:
                dataset = dataset.sel({axis: place}, drop=True)
            elif isinstance(place, int):  # without coordinates, the number of the place
                dataset = dataset.isel({axis: place}, drop=True)
            else:
                raise ValueError(place)
        except (KeyError, TypeError, ValueError, IndexError):
            known = ", ".join(map(str, np.asarray(dataset[axis])[:20]))
            raise UserError(f"dataset.select: {axis} has no {place}; it has {known}") from None
    single = [axis for axis, size in dataset.sizes.items() if size == 1 and axis != time]
    return dataset.squeeze(single, drop=True)


def _plane(dataset: xr.Dataset, name: str, time: str) -> tuple[str, str]:
    """Names of rows and columns."""
    axes = [str(axis) for axis in dataset[name].dims]
    if len({*axes}) < len(axes):
        raise UserError(f"dataset.target: {name} has one dimension twice: {', '.join(axes)}")
    if time not in axes:
        raise UserError(f"dataset.time={time}: {name} has no such dimension; it has {', '.join(axes)}")
    plane = [axis for axis in axes if axis != time]
    if len(plane) > 2:
        raise UserError(
            f"dataset.target: {name} has the dimensions {', '.join(axes)}; choose a place on all but {time} "
            f"and two others, with dataset.select={{{plane[0]}: {np.asarray(dataset[plane[0]])[0]}}}"
        )
    if len(plane) < 2:
        raise UserError(f"dataset.target: {name} has the dimensions {', '.join(axes)}; fields have two more")
    if [_role(dataset, axis) for axis in plane] == ["x", "y"]:
        plane.reverse()
    return plane[0], plane[1]


def _role(dataset: xr.Dataset, axis: str) -> str | None:
    """Whether an axis is y or x, by the first thing that tells; None where nothing does."""
    said = {**dataset[axis].attrs, "name": axis}
    for key in ("standard_name", "axis", "units", "name"):
        for role, known in ROLES.items():
            if str(said.get(key)).lower() in known[key]:
                return role
    return None


def _check_axis(axis: str, index: pd.Index, increasing: bool) -> None:
    values = np.asarray(index)
    if len(values) < 2 or isinstance(values[0], str):
        return
    steps = values[1:] > values[:-1]
    down = values[1:] < values[:-1]
    if steps.all() or (down.all() and not increasing):
        return
    wrong = int((~steps if increasing or steps.sum() >= down.sum() else ~down).argmax())
    order = "increase" if increasing else "go one way"
    pair = f"{values[wrong]} is followed by {values[wrong + 1]}"
    raise UserError(f"dataset.path: {axis} doesn't {order}: {pair}; sort the file")
