"""What may move the weights: finite gradients, no longer than allowed. Nothing waits for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Checked(NamedTuple):
    """A gradient to descend along.

    Args:
        gradient: Clipped (P,); zero if it isn't good.
        norm: Its length before that ().
        good: Whether it and its loss are finite, and all of its player's steps before have been, bool ().
    """

    gradient: Tensor
    norm: Tensor
    good: Tensor


def checked(gradient: Tensor, loss: Tensor, sound: Tensor, longest: Tensor) -> Checked:
    """A gradient (P,) of a loss (), clipped to the norm `longest` (), if all was `sound` () so far."""
    norm = torch.linalg.vector_norm(gradient)
    good = (loss.detach().abs() + norm < torch.inf) & sound  # NaN compares as False
    scale = (longest / norm).clamp(max=1.0)
    return Checked(torch.where(good, gradient * scale, 0.0), norm, good)
