"""Draws of fields as a NetCDF file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from flows.core import Spec

if TYPE_CHECKING:
    import xarray as xr

PLAIN = ("case", "row", "column")


def encoded(draws: Tensor, spec: Spec, layout: xr.Dataset | None) -> bytes:
    """A NetCDF-4 file of members (n, N, C, H, W): a variable a channel, dimension `member` first.

    If the data has a `member` of its own, it is `draw`.

    Args:
        draws: In data units; written in the precision that they have.
        spec: What one field is.
        layout: Coordinates and attributes of the N cases, which the file takes over; None for none.
    """
    import xarray as xr

    values = {name: draws[:, :, channel].numpy() for channel, name in enumerate(spec.names)}
    if layout is None:
        member = "member"
        file = xr.Dataset({name: ((member, *PLAIN), array) for name, array in values.items()})
    else:
        taken = {*layout.variables, *layout.dims}
        member = "member" if "member" not in taken else "draw"
        file = xr.Dataset(
            {
                name: ((member, *layout[name].dims), array, layout[name].attrs)
                for name, array in values.items()
            },
            layout.coords,
            layout.attrs,
        )
        for name in values:
            _keep(file[name], layout[name], ("grid_mapping", "coordinates"))
        for name, coordinate in file.coords.items():  # how time is counted stays, not how numbers were packed
            kept = ("units", "calendar", "dtype") if coordinate.dtype.kind in "MO" else ()
            _keep(coordinate, layout[name], kept)
    file = file.assign_coords({member: np.arange(len(draws))})
    return bytes(file.to_netcdf(engine="h5netcdf"))


def _keep(written: xr.DataArray, read: xr.DataArray, keys: Sequence[str]) -> None:
    """Encode as the data was in these respects alone."""
    written.encoding = {key: read.encoding[key] for key in keys if key in read.encoding}
