"""Base densities: what the latent is meant to be."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from flows.core import Density


@final
class StandardNormal(Density):
    """Independent standard Gaussians.

    Args:
        shape: Shape of one z.
        context_dims: Trailing dimensions of a context that belong to one example.
        present: Which cells of z the density is of, bool (*shape); draws are zero in others. None for all.

    Shapes: z (*batch, *shape); log_prob (*batch,).

    >>> base = StandardNormal((2,))
    >>> base.sample(7).shape, base.log_prob(base.sample(7)).shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    _anchor: Tensor  # empty; carries the dtype and the device that draws should have

    present: Tensor | None

    def __init__(self, shape: tuple[int, ...], context_dims: int = 1, present: Tensor | None = None) -> None:
        super().__init__()
        self.size = math.prod(shape) if present is None else int(present.sum())
        self.shape = tuple(shape)
        self.context_dims = context_dims
        self.register_buffer("_anchor", torch.empty(0), persistent=False)
        self.register_buffer("present", present, persistent=False)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        event = tuple(range(-len(self.shape), 0))
        constant = 0.5 * math.log(2 * math.pi) * self.size
        x = x if self.present is None else torch.where(self.present, x, 0.0)
        return x.square().sum(event) * -0.5 - constant

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        batch = () if context is None else context.shape[: context.dim() - self.context_dims]
        size = (n, *batch, *self.shape)
        z = torch.randn(size, generator=generator, dtype=self._anchor.dtype, device=self._anchor.device)
        return z if self.present is None else torch.where(self.present, z, 0.0)
