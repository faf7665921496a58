"""Draws of fields as a NetCDF file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from flows.core import Spec

if TYPE_CHECKING:
    import xarray as xr

PLAIN = ("member", "case", "row", "column")


def encoded(draws: Tensor, spec: Spec, layout: xr.Dataset | None) -> bytes:
    """A NetCDF-4 file of members (n, N, C, H, W): a variable a channel, members first.

    Args:
        draws: In data units; written in the precision that they have.
        spec: What one field is.
        layout: Coordinates and attributes of the N cases, which the file takes over; None for none.
    """
    import xarray as xr

    values = {name: draws[:, :, channel].numpy() for channel, name in enumerate(spec.names)}
    if layout is None:
        file = xr.Dataset({name: (PLAIN, array) for name, array in values.items()})
    else:
        file = xr.Dataset(
            {
                name: (("member", *layout[name].dims), array, layout[name].attrs)
                for name, array in values.items()
            },
            layout.coords,
            layout.attrs,
        )
        for coordinate in file.coords.values():  # how time is counted stays; how it was stored doesn't matter
            known = coordinate.encoding
            coordinate.encoding = {key: known[key] for key in ("units", "calendar", "dtype") if key in known}
    file = file.assign_coords(member=np.arange(len(draws)))
    return bytes(file.to_netcdf(engine="h5netcdf"))
