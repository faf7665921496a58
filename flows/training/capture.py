"""On a GPU: a step recorded once as one graph of kernels, which the host then starts by one call."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor

from flows.errors import UserError
from flows.objectives.objective import Noise
from flows.training.checkpoint import Tensors
from flows.training.gradient import Gradient, GradientAndLogs, LossInputs
from flows.training.guard import Checked
from flows.wording import one_line

WARM = 3
"""Calls before the recorded one, in which libraries choose their kernels and take their memory."""
_SIDES = 16


@final
class Captured:
    """A gradient whose kernels are recorded, with the addresses of all tensors, and replayed from then on.

    Launching a small flow's kernels one by one takes the host longer than they take the GPU. Numbers are the
    same as without: the same kernels, and dropout's generator moves on as far.

    Args:
        function: Called as it is at first, then recorded. It mustn't look at a tensor's values.
        then: What is recorded with it, to be done with what it gives; None for nothing.

    Each call's inputs must hold the very tensors of the first, whatever their values; batches and noise keep
    their shapes. What a call returns is overwritten by the next.

    Raises: UserError at the call that records if it can't be.
    """

    def __init__(self, function: Gradient, then: Callable[[Checked, Tensors], None] | None = None) -> None:
        self.function = function
        self.then = then
        self.forget()

    def forget(self) -> None:
        """Record again at the next calls, because tensors have moved."""
        self._calls = 0
        self._graph = torch.cuda.CUDAGraph()
        self._copies: list[Tensor] = []  # of batch and noise, which the graph reads
        self._found: GradientAndLogs | None = None

    def __call__(self, inputs: LossInputs, batch: Tensors, noise: Noise) -> GradientAndLogs:
        self._calls += 1
        if self._calls <= WARM:
            return self._call(inputs, batch, noise)
        if self._calls == WARM + 1:
            self._record(inputs, batch, noise)
        for ours, given in zip(self._copies, (*batch.values(), *noise.values()), strict=True):
            ours.copy_(given)
        self._graph.replay()
        return cast("GradientAndLogs", self._found)

    def _call(self, inputs: LossInputs, batch: Tensors, noise: Noise) -> GradientAndLogs:
        found = self.function(inputs, batch, noise)
        if self.then is not None:
            self.then(*found)
        return found

    def _record(self, inputs: LossInputs, batch: Mapping[str, Tensor], noise: Noise) -> None:
        batch, noise = ({name: value.clone() for name, value in given.items()} for given in (batch, noise))
        self._copies = [*batch.values(), *noise.values()]
        gc.collect()  # frees the graphs of ended runs, which reference cycles keep
        here = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(self._graph):
                self._found = self._call(inputs, batch, noise)
        except RuntimeError as error:
            torch.cuda.set_stream(here)  # torch leaves the recording stream as the current one
            reason = one_line(str(error.__context__ or error).split("\n")[0])
            raise UserError(
                f"runtime.capture: this step can't be recorded ({reason}); use runtime.capture=false"
            ) from error


def side_by_side(works: Sequence[Callable[[], None]]) -> None:
    """Do independent pieces of work at the same time, each too small to fill a GPU."""
    here = torch.cuda.current_stream()
    sides = [torch.cuda.Stream() for _ in range(min(_SIDES, len(works)))]
    for side in sides:
        side.wait_stream(here)
    for place, work in enumerate(works):
        with torch.cuda.stream(sides[place % len(sides)]):
            work()
    for side in sides:
        here.wait_stream(side)
