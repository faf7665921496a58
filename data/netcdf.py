"""Your own fields, from NetCDF or Zarr."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from data.cases import Cases
from data.grid import Grid, understand
from data.observed import Missing, Observed, Whole, split, whole
from data.opening import opened
from data.steps import GridSteps
from flows.errors import UserError
from flows.types import Block, Fraction, NonNegativeInt, PositiveInt

if TYPE_CHECKING:
    import xarray as xr


def netcdf(
    path: str,
    target: Sequence[str],
    context: Sequence[str] = (),
    static: Sequence[str] = (),
    coarsen: Block | None = None,
    lag: NonNegativeInt = 0,
    time: str = "time",
    select: Mapping[str, int | float | str] | None = None,
    patch: PositiveInt | None = None,
    missing: Missing = "refuse",
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    gap: NonNegativeInt = 0,
) -> Observed:
    """Variables of NetCDF-3, NetCDF-4 or Zarr files: the target's fields, given the context's.

    Given exact block means of itself the target has no bounded density, as the last cell of a block follows
    from the others: likelihoods then compare models, and say nothing of how good one is.

    Rows are latitudes and columns longitudes, by what the coordinates say, in whatever order a file has them.

    A case is a time, or one patch of the grid at a time. Training takes the first, then come validation and
    test. What doesn't fit in memory is read as it is needed.

    Args:
        path: A file, a Zarr store, or a pattern (`era5_*.nc`) for several on one grid.
        target: Variables that are modelled, a channel each.
        context: Variables that are given, of the same time or `lag` steps before.
        static: Variables without time that are given.
        coarsen: Makes the context of the target itself: means of blocks of so many cells a side, put back on
            the grid; blocks at the far edges may be parts. None for none.
        lag: Steps by which the context comes before the target: a forecast's. Where times are missing, the
            pairs that aren't as far apart as others are left out, and stderr tells how many.
        time: The dimension along which cases follow each other.
        select: A place on each other dimension: {level: 850}.
        patch: Side, in cells, of the windows that fields are cut into; None for whole fields.
        missing: What becomes of cases with missing or infinite cells; `drop` leaves them out and says on
            stderr how many; `exclude` does so too, but first leaves cells out that no case has.
        val, test: Shares of the times for validation and for the test.
        gap: Times left out between parts, for neighbours are alike; at least `lag`.

    Raises: UserError if a file or a variable isn't there, grids, calendars or axes don't fit, or a part is
        empty.
    """
    grid = understand(opened(path, time), target, context, static, time, select or {})
    if lag and not context:
        raise UserError(f"dataset.lag={lag}: there is nothing to lag; give dataset.context=[…]")
    for name in context:
        if name in target and not lag:
            raise UserError(f"dataset.context: {name} is the target too, which it would give away")
    if not grid.dataset.sizes[time]:
        raise UserError(f"dataset.path={path}: {time} has no values, so there are no cases")
    if lag >= grid.dataset.sizes[time]:
        raise UserError(f"dataset.lag={lag}: there are {grid.dataset.sizes[time]} times in all")
    cases = Cases(GridSteps(grid, target, context, static, lag), grid.size, coarsen, patch)
    before = f"lag{lag}_" if lag else ""
    coarse = [f"coarse_{name}" for name in target if coarsen is not None]
    names = [*coarse, *(f"{before}{name}" for name in context), *static]
    found = whole(cases, [*target, *names], missing, lambda step: _when(grid, step + lag))
    if lag and time in grid.dataset.indexes:
        found = _unbroken(found, cases.per_step, grid, lag)
    parts = split(len(cases.steps), val, test, max(gap, lag))
    layout = partial(_layout, grid, [*target], cases, lag)
    return Observed(cases, target, names, found, parts, layout)


def _unbroken(found: Whole, per_step: int, grid: Grid, lag: int) -> Whole:
    """The cases whose context comes before them by as much time as usual, within half a step."""
    index = grid.dataset.indexes[grid.time]
    times = np.asarray(index - index[0]).astype(float)
    steps = np.diff(times)
    step = steps[steps < 1.5 * np.median(steps)].mean()  # of months, which differ, a month; without the holes
    broken = torch.from_numpy(abs(times[lag:] - times[:-lag] - lag * step) > step / 2)
    if not broken.any():
        return found
    first = int(broken.nonzero()[0])
    print(
        f"dataset.lag={lag}: {int(broken.sum())} of {len(broken)} times have no context, since times before "
        f"them are missing, the first {_when(grid, first + lag)}; dropped",
        file=sys.stderr,
    )
    return found._replace(kept=found.kept[~broken[found.kept // per_step]])


def _when(grid: Grid, place: int) -> str:
    if grid.time not in grid.dataset.coords:
        return f"{grid.time} {place}"
    return (
        f"{grid.time} {str(np.asarray(grid.dataset[grid.time][place])).removesuffix('T00:00:00.000000000')}"
    )


def _layout(grid: Grid, target: Sequence[str], cases: Cases, lag: int, places: Tensor) -> xr.Dataset:
    """The targets of these cases, not read: by time, or by case if patches are cut."""
    import xarray as xr

    steps = (places // cases.per_step + lag).numpy()
    if cases.per_step == 1:
        return grid.dataset[[*target]].isel({grid.time: steps})
    rows, columns = np.array([cases.corners[place % cases.per_step] for place in places.tolist()]).T
    inside = [np.arange(side) for side in cases.side]
    return grid.dataset[[*target]].isel(
        {
            grid.time: xr.DataArray(steps, dims="case"),
            grid.y: xr.DataArray(rows[:, None] + inside[0], dims=("case", "row")),
            grid.x: xr.DataArray(columns[:, None] + inside[1], dims=("case", "column")),
        }
    )
