"""Examples on their way to where they are trained on."""

from __future__ import annotations

import torch
from torch import Tensor

PINNED = 2**26
"""Most bytes that are copied through memory of their own, which torch keeps."""


def move(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """The same on another device, in another precision; unless it is large, nothing waits until it is there.

    >>> move(torch.arange(2), torch.device("cpu"), torch.float64)
    tensor([0., 1.], dtype=torch.float64)
    """
    tensor = tensor.to(dtype or tensor.dtype)
    if device.type != "cuda" or tensor.is_cuda or tensor.nbytes > PINNED:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)  # from other memory it would wait
