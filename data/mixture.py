"""The truth of every toy: a mixture whose component is the context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from flows.core import Density
from flows.errors import UserError


@final
class Mixture(Density):
    r"""Equal parts of several densities; the context, where given, weighs them instead.

    log p(x|c) = log Σ_k c_k p_k(x), with c_k = 1/K without context. So a one-hot context asks for one
    component alone. Whatever the precision of x, everything is computed in float64.

    Args:
        components: K densities of the same shape (D,), without context.

    Shapes: x (*batch, D); context (*batch, K), non-negative and summing to 1, or None.
    Raises: UserError if the context's last dimension isn't K.

    >>> from data.shapes import Ring
    >>> truth = Mixture([Ring(1.0, 0.1), Ring(2.0, 0.1)])
    >>> truth.sample(7, torch.eye(2)).shape, truth.log_prob(torch.zeros(7, 2)).shape
    (torch.Size([7, 2, 2]), torch.Size([7]))
    """

    def __init__(self, components: Sequence[Density]) -> None:
        super().__init__()
        self.components = nn.ModuleList(components)
        self.register_buffer(
            "equal", torch.full((len(components),), 1 / len(components), dtype=torch.float64)
        )

    def __len__(self) -> int:
        return len(self.components)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x, weights = x.double(), self._weights(context)
        each = torch.stack([component.log_prob(x) for component in self._components()], -1)
        return torch.logsumexp(each + weights.log(), -1)

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        weights = self._weights(context)
        batch = weights.shape[:-1]
        weights = weights.reshape(-1, len(self))
        chosen = torch.multinomial(weights, max(n, 1), replacement=True, generator=generator)[:, :n]
        chosen = chosen.T.reshape(n, *batch)
        places = [chosen == k for k in range(len(self))]
        draws = [
            component.sample(int(place.sum()), generator=generator)
            for component, place in zip(self._components(), places, strict=True)
        ]
        x = draws[0].new_empty(*chosen.shape, draws[0].shape[-1])
        for place, draw in zip(places, draws, strict=True):
            x[place] = draw
        return x

    def _components(self) -> list[Density]:
        return cast("list[Density]", [*self.components])

    def _weights(self, context: Tensor | None) -> Tensor:
        if context is None:
            return cast("Tensor", self.equal)
        if context.shape[-1] != len(self):
            raise UserError(
                f"context has {context.shape[-1]} features, but the truth has {len(self)} components"
            )
        return context.double()
