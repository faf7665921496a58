"""Several densities as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from flows.core import Density


@final
class Mixture(Density):
    """The mean of some densities: log p(x|c) = log (1/K) Σ p_k(x|c).

    By Jensen's inequality its NLL is never above the mean of theirs.

    Args:
        members: The densities, of the same x.

    Shapes: x (*batch, *shape); context as the members take it; log_prob (*batch,).
    Raises: ValueError if there is none.
    References: Lakshminarayanan et al. 2017, Simple and scalable predictive uncertainty estimation using
        deep ensembles, arXiv:1612.01474.

    >>> from flows.bases import StandardNormal
    >>> mixture = Mixture([StandardNormal((2,)), StandardNormal((2,))])
    >>> mixture.log_prob(mixture.sample(7)).shape
    torch.Size([7])
    """

    def __init__(self, members: Sequence[Density]) -> None:
        super().__init__()
        if not members:
            raise ValueError("a mixture needs at least one density")
        self.members = nn.ModuleList(members)
        self.shape = members[0].shape

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        each = [cast("Density", member).log_prob(x, context) for member in self.members]
        return torch.logsumexp(torch.stack(each), 0) - math.log(len(each))

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        drawn = torch.stack(
            [cast("Density", member).sample(n, context, generator) for member in self.members]
        )
        lead = drawn.shape[1 : drawn.dim() - len(self.shape)]  # each draw under each context has its own
        kind = torch.randint(len(drawn), lead, generator=generator, device=drawn.device)
        return drawn.take_along_dim(kind.reshape(1, *lead, *(1 for _ in self.shape)), 0)[0]
