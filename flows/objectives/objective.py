"""The contract between what is minimised and the trainer, which never asks what kind of model it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from flows.core import Batch, Sampler, Spec

Nets = Mapping[str, nn.Module]
Noise = Mapping[str, Tensor]


class Objective(ABC):
    """What is minimised, by which players, in which order.

    `noise` draws all randomness of a turn; `loss` is a pure function of tensors, so that it can be
    compiled, vmapped and captured.
    """

    needs: ClassVar[type[Sampler]]
    """What the model must be able to do."""

    cycle: tuple[str, ...] = ("model",)
    """The player of each turn of one step, such as ("critic",) * 5 + ("model",)."""

    def players(self, model: Sampler, spec: Spec, examples: Batch) -> dict[str, nn.Module]:
        """The nets that are trained; "model", fitted to the examples already, is the one that is kept."""
        return {"model": model}

    def noise(self, player: str, nets: Nets, batch: Batch, generator: torch.Generator) -> Noise:
        """Draw what `loss` will need: nothing, unless the objective says otherwise."""
        return {}

    @abstractmethod
    def loss(self, player: str, nets: Nets, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """What this player minimises (), and scalars to log, by name."""

    @abstractmethod
    def validate(self, nets: Nets, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Per-example scores (B,), lower is better; early stopping watches the mean of the first."""
