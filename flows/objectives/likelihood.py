"""Maximum likelihood."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor

from flows.core import Batch, Density
from flows.objectives.objective import Nets, Noise, Objective


@final
class Likelihood(Objective):
    """Mean negative log-likelihood, in nats and in the data's units: KL(data ‖ model) up to a constant."""

    needs = Density

    def loss(self, player: str, nets: Nets, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        nll = self.validate(nets, batch, noise)["nll"].mean()
        return nll, {"nll": nll}

    def validate(self, nets: Nets, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        model = cast("Density", nets["model"])
        return {"nll": -model.log_prob(batch.x, batch.context)}
