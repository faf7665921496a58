"""What stands around fields in figures: units of their channels, and where on the map their cells lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flows.core import Dataset, Part

if TYPE_CHECKING:
    import xarray as xr


class Side(NamedTuple):
    """One axis of the grid: its name with its unit, and the coordinates of its first and last cells."""

    name: str
    first: float
    last: float


class Frame(NamedTuple):
    """How fields of a dataset are labelled.

    Args:
        channels: Names of the channels of x, with their units where these are known.
        rows: The vertical axis, from the bottom of an image; None where no coordinates are common to all
            cases.
        columns: The horizontal one, likewise.
        falls: Whether the coordinate of the rows falls in the data, as latitude often does.
    """

    channels: tuple[str, ...]
    rows: Side | None = None
    columns: Side | None = None
    falls: bool = False


def frame_of(dataset: Dataset, part: Part) -> Frame:
    """What the dataset knows of its fields, as the figures show it."""
    names, layout = dataset.spec.names, dataset.layout(part)
    if layout is None:
        return Frame(names)
    channels = tuple(_with_unit(name, layout[name]) for name in names)
    *_, rows, columns = layout[names[0]].dims
    side, falls = _side(layout, str(rows))
    if side is not None and falls:
        side = side._replace(first=side.last, last=side.first)
    return Frame(channels, side, _side(layout, str(columns))[0], falls)


def _with_unit(name: str, variable: xr.DataArray) -> str:
    unit = str(variable.attrs.get("units", ""))
    return f"{name} ({unit})" if unit not in ("", "1") else name


def _side(layout: xr.Dataset, axis: str) -> tuple[Side | None, bool]:
    """The axis as it lies in the data (None if cases differ in it or it has no numbers); whether it falls."""
    own = [axis] if axis in layout.coords else []  # before others that run along it, such as 2-D longitudes
    for name in [*own, *layout.coords]:
        coordinate = layout.coords[name]
        if coordinate.dims[-1:] == (axis,) and coordinate.dtype.kind in "fiu":
            cells = coordinate.values.reshape(-1, layout.sizes[axis])[0]  # of the first case
            side = Side(_with_unit(str(name), coordinate), float(cells[0]), float(cells[-1]))
            return side if coordinate.ndim == 1 else None, bool(cells[0] > cells[-1])
    return None, False
