"""Endless batches that can be left and taken up again."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from flows.core import Batch, Source


@final
class Stream:
    """Epoch after epoch of a source, each in an order of its own.

    Its state is the generator's at the start of the epoch and the batches taken since: nothing that
    grows with the data.

    Args:
        source: Where examples come from.
        batch_size: Examples in a batch.
        generator: Draws the order; on the CPU, so that it outlives a change of device.
    """

    def __init__(self, source: Source, batch_size: int, generator: torch.Generator) -> None:
        self.source = source
        self.batch_size = batch_size
        self.generator = generator
        self._begin()

    def __next__(self) -> Batch:
        index = next(self.blocks, None)
        if index is None:
            self._begin()
            index = next(self.blocks)
        self.taken += 1
        return self.source.take(index)

    def state(self) -> dict[str, Tensor]:
        return {"generator": self.start.clone(), "taken": torch.tensor(self.taken)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.generator.set_state(state["generator"])
        self._begin(int(state["taken"]))

    def _begin(self, taken: int = 0) -> None:
        self.start = self.generator.get_state()
        self.blocks = self.source.order(self.batch_size, self.generator, taken)
        self.taken = taken
