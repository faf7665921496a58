"""Sines and cosines of a number, so that a net can tell near values apart."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Waves(nn.Module):
    """A value, and its sines and cosines at `octaves` frequencies, π to begin with, each twice the last.

    Each octave is lower than the last by √½: a net learns coarse things from them first, and fine ones only
    where examples insist.

    Args:
        octaves: How many frequencies; 0 leaves the value alone.

    Shapes: x (..., D); result (..., D, 1 + 2 * octaves).
    References: Tancik et al. 2020, Fourier features let networks learn high frequency functions in low
        dimensional domains, arXiv:2006.10739.

    >>> Waves(3)(torch.zeros(7, 2)).shape
    torch.Size([7, 2, 7])
    """

    frequencies: Tensor
    heights: Tensor

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.size = 1 + 2 * octaves
        powers = 2.0 ** torch.arange(octaves)
        self.register_buffer("frequencies", torch.pi * powers, persistent=False)
        self.register_buffer("heights", powers.rsqrt(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        place = x.unsqueeze(-1)
        angle = place * self.frequencies
        return torch.cat((place, self.heights * angle.sin(), self.heights * angle.cos()), -1)
