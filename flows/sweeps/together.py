"""Runs that train as one: a turn of all of them costs one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from flows.core import Batch
from flows.training.capture import side_by_side
from flows.training.checkpoint import Tensors
from flows.training.fusing import fused
from flows.training.gradient import Gradient, LossInputs, gradient, loss_inputs
from flows.training.guard import Checked
from flows.training.run import Run


@final
class Together:
    """Runs of equal structure, whose gradients one pass gives.

    Their players' weights become rows of one matrix. All else stays each run's own: data, generators,
    optimizer, schedule, the norm that is clipped to, average, guard. Only dropout's masks are drawn for all
    at once, so with dropout a run isn't, number by number, the one that it would be alone.

    Args:
        runs: Each with the same players of the same shapes, and the same player's turn.
        compiled: Whether that pass is compiled, once, for this number of runs.
        captured: Whether its kernels are recorded, once, and replayed, on a GPU.
    """

    def __init__(self, runs: Sequence[Run], compiled: bool = False, captured: bool = False) -> None:
        self.runs = runs
        moves = captured and all(player.capturable for run in runs for player in run.players.values())
        each_inputs = [loss_inputs(run.players) for run in runs]
        self.inputs = LossInputs(*map(_rows, zip(*each_inputs, strict=True)))._replace(scalars=_scalars(runs))
        for row, run in enumerate(runs):
            for name, player in run.players.items():
                player.move(self.inputs.weights[name][row], self.inputs.sound[name][row])
        first = runs[0]
        self.gradient: dict[str, Gradient] = {}
        for name in {*first.objective.cycle}:
            each = vmap(gradient(first.objective, name, first.nets), randomness="different")
            then = partial(self._descend, name) if moves else None
            self.gradient[name] = fused(each, first.nets, compiled, captured, then)
        for run in runs:
            run.moves = moves

    def backward(self, rows: Collection[int]) -> list[tuple[Checked, Tensors]]:
        """The gradients of the players of these runs whose turn it is, and what each one logs.

        All other runs are computed too, so that shapes stay, on what the first of these has drawn.
        If runs' optimizers can be captured, the moves along them are part of it (`Run.moves`), and the others
        rest from then on.
        """
        drawn = {row: self.runs[row].prepare() for row in rows}
        first = next(iter(rows))
        player = self.runs[first].player
        all_drawn = [drawn.get(row, drawn[first]) for row in range(len(self.runs))]
        batches, noises = zip(*all_drawn, strict=True)
        if self.runs[first].moves:
            for row in range(len(self.runs)):
                if row not in drawn:
                    self.runs[row].players[player].rest()
        with sdpa_kernel(SDPBackend.MATH):  # fused kernels would go member by member
            slopes, logs = self.gradient[player](self.inputs, _stacked(batches), _rows(noises))
        found = _split(slopes, logs)
        return [found[row] for row in rows]

    def _descend(self, player: str, slopes: Checked, logs: Tensors) -> None:
        found = zip(self.runs, _split(slopes, logs), strict=True)
        side_by_side([partial(run.descend, player, *each) for run, each in found])


def _split(slopes: Checked, logs: Tensors) -> list[tuple[Checked, Tensors]]:
    """Each run's own gradient and logs."""
    each = [Checked(*slope) for slope in zip(*(values.unbind() for values in slopes), strict=True)]
    split = {name: values.unbind() for name, values in logs.items()}
    return [(slope, {name: values[row] for name, values in split.items()}) for row, slope in enumerate(each)]


def _rows(each: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([own[name] for own in each]) for name in each[0]}


def _stacked(batches: Sequence[Batch]) -> dict[str, Tensor]:
    columns = zip(*batches, strict=True)
    return {
        name: torch.stack(column)
        for name, column in zip(Batch._fields, columns, strict=True)
        if column[0] is not None
    }


def _scalars(runs: Sequence[Run]) -> dict[str, Tensor]:
    """The objectives' numbers that aren't the same for all runs."""
    like = next(iter(runs[0].players.values())).weights
    found = {}
    for name, value in vars(runs[0].objective).items():
        if isinstance(value, float):
            values = [getattr(run.objective, name) for run in runs]
            if any(other != value for other in values):
                found[name] = torch.tensor(values, dtype=like.dtype, device=like.device)
    return found
