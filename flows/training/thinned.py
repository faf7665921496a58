"""A bounded part of a source that stands for all of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flows.core import Spec

EXAMPLES, NUMBERS = 2**16, 2**24  # most; of so many a mean is known to 0.4 % of a standard deviation


def thinned(size: int, spec: Spec) -> Tensor | slice:
    """Places of all examples, or of as many as fit, evenly spread: 65,536 of tables, of large fields fewer.

    >>> spec = Spec(("a", "b"), (2,))
    >>> thinned(100, spec), thinned(10**8, spec).shape
    (slice(None, None, None), torch.Size([65536]))
    """
    numbers = math.prod(spec.shape) + math.prod(spec.context_shape or (0,))
    limit = max(1, min(EXAMPLES, NUMBERS // numbers))
    if size <= limit:
        return slice(None)
    return evenly(size, limit)


def evenly(size: int, limit: int) -> Tensor:
    """At most `limit` places of `size`, evenly spread, so that sorted rows are all represented.

    >>> evenly(7, 4)
    tensor([0, 2, 4, 6])
    """
    return torch.linspace(0, size - 1, min(size, limit), dtype=torch.float64).round().long()
