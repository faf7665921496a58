"""The gradient of a player's loss as a pure function of tensors: to be compiled, or mapped over members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import NamedTuple, final

from torch import Tensor, nn
from torch.func import functional_call, grad

from flows.core import Batch
from flows.objectives import Objective
from flows.objectives.objective import Noise
from flows.training.checkpoint import Tensors
from flows.training.guard import Checked, checked
from flows.training.player import Player, trained


class LossInputs(NamedTuple):
    """All tensors that a loss depends on, but for the batch and the noise.

    Args:
        weights: Each player's flat vector, by its name.
        fixed: The nets' other tensors, such as the data's units, by `player.name`.
        sound: Whether each player's steps have all been good.
        longest: The norm that each player's gradient is clipped to.
        scalars: The objective's numbers that differ between members, by attribute.
    """

    weights: Tensors
    fixed: Tensors
    sound: Tensors
    longest: Tensors
    scalars: Tensors


GradientAndLogs = tuple[Checked, Tensors]
Gradient = Callable[[LossInputs, Tensors, Noise], GradientAndLogs]


def gradient(objective: Objective, player: str, nets: Mapping[str, nn.Module]) -> Gradient:
    """The function that gives one player's gradient, and what it logs.

    It takes the loss's inputs, a batch as a dictionary (absent fields are left out) and the noise.

    Args:
        objective: Whose loss.
        player: Whose weights.
        nets: Of all players; only their structure counts, all their tensors come with the inputs.
    """
    loss = _Loss(objective, player, nets)
    shapes = {name: {key: p.shape for key, p in trained(net).items()} for name, net in nets.items()}

    def loss_of(
        own: Tensor, inputs: LossInputs, batch: Tensors, noise: Noise
    ) -> tuple[Tensor, tuple[Tensor, Tensors]]:
        tensors = {f"nets.{name}": value for name, value in inputs.fixed.items()}
        for name, flat in (inputs.weights | {player: own}).items():
            pieces = flat.split([shape.numel() for shape in shapes[name].values()])
            for (key, shape), piece in zip(shapes[name].items(), pieces, strict=True):
                tensors[f"nets.{name}.{key}"] = piece.view(shape)
        value, logs = functional_call(loss, tensors, (batch, noise, inputs.scalars))
        return value, (value, logs)

    def gradient_of(inputs: LossInputs, batch: Tensors, noise: Noise) -> GradientAndLogs:
        slope, (loss, logs) = grad(loss_of, has_aux=True)(inputs.weights[player], inputs, batch, noise)
        return checked(slope, loss, inputs.sound[player], inputs.longest[player]), logs

    return gradient_of


def loss_inputs(players: Mapping[str, Player]) -> LossInputs:
    """Views of the tensors that players hold now."""
    fixed = {}
    for name, player in players.items():
        own = player.net.state_dict()
        fixed |= {f"{name}.{key}": own[key] for key in own.keys() - trained(player.net).keys()}
    return LossInputs(
        {name: player.weights.detach() for name, player in players.items()},
        fixed,
        {name: player.sound for name, player in players.items()},
        {name: player.longest for name, player in players.items()},
        {},
    )


@final
class _Loss(nn.Module):
    """An objective and its nets as one module, whose tensors `functional_call` can replace."""

    def __init__(self, objective: Objective, player: str, nets: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.objective = objective
        self.player = player
        self.nets = nn.ModuleDict(nets)

    def forward(self, batch: Tensors, noise: Noise, scalars: Tensors) -> tuple[Tensor, Tensors]:
        objective = self.objective
        if scalars:
            objective = copy(objective)
            vars(objective).update(scalars)
        loss, logs = objective.loss(self.player, dict(self.nets.items()), Batch(**batch), noise)
        return loss, {name: value.detach() for name, value in logs.items()}
