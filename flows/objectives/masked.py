"""Likelihood of features, given random subsets of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final

import torch
from torch import Tensor, nn

from flows.core import AnySubset, Batch, Sampler, Spec
from flows.errors import UserError
from flows.objectives.objective import Nets, Noise, Objective
from flows.types import PositiveFloat
from flows.wording import choose


@final
class Masked(Objective):
    r"""Mean over all orders of the features of the chain-rule negative log-likelihood, in nats.

    Each example gets an order of its own each time, in which every feature is predicted from those before
    it: so all subsets are met, and the expected loss is the mean NLL over orders. Validation is the model's
    own exact NLL.

    Args:
        weights: Factor of each feature's term, by name; 1 where not named. Other than 1, what is minimised
            is no likelihood.

    Raises: UserError from `players` if a name isn't a feature's.
    References: Uria et al. 2014, A deep and tractable density estimator, arXiv:1310.1757.
    """

    needs = AnySubset

    def __init__(self, weights: Mapping[str, PositiveFloat] | None = None) -> None:
        self.weights = weights or {}
        self._extra: dict[int, float] = {}  # weight - 1 of each feature named, by its place

    def players(self, model: Sampler, spec: Spec, examples: Batch) -> dict[str, nn.Module]:
        for name in self.weights:
            if name not in spec.names:
                key = "trainer.objective.weights."
                raise UserError(f"{key}{name}: no such feature; {choose(name, spec.names, 'features', key)}")
        self._extra = {spec.names.index(name): weight - 1 for name, weight in self.weights.items()}
        return {"model": model}

    def noise(self, player: str, nets: Nets, batch: Batch, generator: torch.Generator) -> Noise:
        rank = torch.rand(batch.x.shape, generator=generator, device=batch.x.device)
        return {"given": rank.unsqueeze(-2) < rank.unsqueeze(-1)}

    def loss(self, player: str, nets: Nets, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        model = cast("AnySubset", nets["model"])
        terms = -model.conditionals(batch.x, noise["given"], batch.context)
        nll = terms.sum(-1)
        extra = sum(weight * terms[..., place] for place, weight in self._extra.items())
        return (nll + extra).mean(), {"nll": nll.mean()}

    def validate(self, nets: Nets, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        model = cast("AnySubset", nets["model"])
        return {"nll": -model.log_prob(batch.x, batch.context)}
