"""Noise on training examples, against learning them by heart."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from flows.core import Batch, Spec


@final
class Jitter:
    """Gaussian noise in proportion to each feature's standard deviation, reflected at a support's ends.

    A density trained on it approaches that of data blurred as much, and so gains nothing by spiking at single
    examples.

    Args:
        scale: Standard deviation of the noise, in those of the features.
        batch: Examples whose standard deviations count (N, *shape).
        spec: Names the ends.
        device: Where what it is called with lies.

    References: Rothfuss et al. 2019, Noise regularization for conditional density estimation,
        arXiv:1907.08982.

    >>> jitter = Jitter(0.1, Batch(torch.randn(100, 2)), Spec(("a", "b"), (2,)))
    >>> jitter(torch.zeros(7, 2), torch.Generator()).shape
    torch.Size([7, 2])
    """

    def __init__(self, scale: float, batch: Batch, spec: Spec, device: torch.device | str = "cpu") -> None:
        self.std = (scale * batch.x.std(0, correction=0)).to(device)
        self.bounded = spec.support is not None
        ends = [spec.ends(feature) for feature in range(spec.shape[0])] if self.bounded else []
        self.low, self.high = torch.tensor(ends or [(-math.inf, math.inf)], dtype=batch.x.dtype).to(device).T

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        moved = x + self.std * noise
        if not self.bounded:
            return moved
        moved = torch.where(moved < self.low, 2 * self.low - moved, moved)
        moved = torch.where(moved > self.high, 2 * self.high - moved, moved)
        return moved.clamp(self.low, self.high)  # of what is reflected beyond the other end
