"""Examples made of time steps."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from data.steps import Steps
from flows.core import Batch
from flows.errors import UserError


@final
class Cases:
    """Steps with block means of themselves as context, if asked for, each cut into patches.

    Patches are tiles of the grid; where they don't fill it, the last of a row or a column reaches back over
    the one before.

    Args:
        steps: Where fields are read.
        size: Rows and columns of a field.
        coarsen: Side of the blocks whose means, put back on the grid, lead the context; None for none. Blocks
            at the edges may be parts.
        patch: Side of a patch; None for whole fields.

    Raises: UserError if a field has no cells, or a block or a patch is larger than a field.

    >>> import numpy as np
    >>> from data.steps import ArraySteps
    >>> steps = ArraySteps(np.zeros((5, 1, 6, 9)), np.zeros((5, 0, 6, 9)))
    >>> [tensor.shape for tensor in Cases(steps, (6, 9), coarsen=4, patch=5).read(0, 2)]
    [torch.Size([8, 1, 5, 5]), torch.Size([8, 1, 5, 5])]
    """

    def __init__(
        self, steps: Steps, size: tuple[int, int], coarsen: int | None = None, patch: int | None = None
    ) -> None:
        if not min(size):
            raise UserError(f"dataset.path: fields of {size[0]} × {size[1]} cells; each side needs one")
        for key, side in (("coarsen", coarsen), ("patch", patch)):
            if side is not None and side > min(size):
                raise UserError(f"dataset.{key}={side}: larger than the grid of {size[0]} × {size[1]} cells")
        self.steps = steps
        self.coarsen = coarsen
        self.side = size if patch is None else (patch, patch)
        self.corners = [
            (row, column)
            for row in _starts(size[0], self.side[0])
            for column in _starts(size[1], self.side[1])
        ]
        self.per_step = len(self.corners)
        step = self.read(0, 1)
        self.channels = (step.x.shape[1], 0 if step.context is None else step.context.shape[1])
        self.bytes = sum(self.channels) * self.side[0] * self.side[1] * step.x.element_size()  # of a case

    def __len__(self) -> int:
        return len(self.steps) * self.per_step

    def read(self, start: int, stop: int) -> Batch:
        """The cases of steps start, …, stop - 1, those of one step together.

        The context is None if it has no channel.
        """
        x, context = self.steps.read(start, stop)
        assert context is not None
        if self.coarsen is not None:
            context = torch.cat((block_means(x, self.coarsen), context), 1)
        return Batch(self._cut(x), self._cut(context) if context.shape[1] else None)

    def _cut(self, fields: Tensor) -> Tensor:
        height, width = self.side
        patches = [fields[..., row : row + height, column : column + width] for row, column in self.corners]
        return torch.stack(patches, 1).flatten(0, 1)


def block_means(x: Tensor, side: int) -> Tensor:
    """Each cell's block of side × side cells replaced by its mean (..., C, H, W).

    Blocks start at the first row and column; at the others they may be parts. A mean is that of the cells
    that are there: NaN only where none of a block is.
    """
    there = x.isfinite()
    total, count = (
        F.avg_pool2d(part, side, ceil_mode=True, count_include_pad=False)
        for part in (torch.where(there, x, 0.0), there.to(x))
    )
    means = (total / count).repeat_interleave(side, -2).repeat_interleave(side, -1)
    return means[..., : x.shape[-2], : x.shape[-1]]


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of one axis begin."""
    return [min(start, length - side) for start in range(0, length, side)]
