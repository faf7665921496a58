"""Fields by time step, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

import numpy as np
import torch
from torch import Tensor

from data.grid import Grid
from flows.core import Batch
from flows.errors import UserError
from flows.wording import one_line


class Steps(Protocol):
    """What one can read a run of steps from."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Batch:
        """x (N, C, H, W) and context (N, Cc, H, W) of steps start, …, stop - 1, float64, NaN where missing.

        The context has no channels where there is none.
        """
        ...


@final
class GridSteps:
    """Steps of variables on a grid; the context is that of `lag` steps before, beside the static fields.

    >>> import xarray as xr
    >>> dataset = xr.Dataset({"t": (("time", "y", "x"), np.zeros((5, 2, 3)))})
    >>> steps = GridSteps(Grid(dataset, "time", "y", "x"), ["t"], ["t"], [], lag=1)
    >>> len(steps), [tensor.shape for tensor in steps.read(0, 2)]
    (4, [torch.Size([2, 1, 2, 3]), torch.Size([2, 1, 2, 3])])
    """

    def __init__(
        self, grid: Grid, target: Sequence[str], context: Sequence[str], static: Sequence[str], lag: int
    ) -> None:
        self.grid, self.lag = grid, lag
        self.target, self.context = target, context
        self.static = self._stacked([grid.dataset[name] for name in static], 0)

    def __len__(self) -> int:
        return self.grid.dataset.sizes[self.grid.time] - self.lag

    def read(self, start: int, stop: int) -> Batch:
        x = self._fields(self.target, start + self.lag, stop + self.lag)
        context = self._fields(self.context, start, stop)
        static = self.static.expand(len(x), *self.static.shape)
        return Batch(x, torch.cat((context, static), 1))

    def _fields(self, names: Sequence[str], start: int, stop: int) -> Tensor:
        some = self.grid.dataset.isel({self.grid.time: slice(start, stop)})
        return self._stacked([some[name] for name in names], 1, stop - start)

    def _stacked(self, variables: Sequence, axis: int, *steps: int) -> Tensor:
        if not variables:
            return torch.zeros(*steps, 0, *self.grid.size, dtype=torch.float64)
        try:
            with np.errstate(all="ignore"):  # what isn't finite is found by looking
                values = [np.asarray(variable.values, dtype=np.float64) for variable in variables]
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            names = ", ".join(str(variable.name) for variable in variables)
            raise UserError(f"dataset.path: {names} can't be read ({one_line(error)})") from None
        return torch.from_numpy(np.stack(values, axis))


@final
class ArraySteps:
    """Steps of arrays x (N, C, H, W) and context (N, Cc, H, W) in memory.

    >>> len(ArraySteps(np.zeros((5, 1, 2, 3)), np.zeros((5, 0, 2, 3))))
    5
    """

    def __init__(self, x: np.ndarray, context: np.ndarray) -> None:
        self.x, self.context = x, context

    def __len__(self) -> int:
        return len(self.x)

    def read(self, start: int, stop: int) -> Batch:
        x, context = (
            torch.from_numpy(array[start:stop].astype(np.float64)) for array in (self.x, self.context)
        )
        return Batch(x, context)
