"""What is asked of a contender."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Work = Callable[[], object]
MEMBERS = 16  # of a batch of models


class Contender(NamedTuple):
    """A flow, ready to be trained and asked.

    Args:
        parameters: How many it has.
        step: Takes the next batch and does one update.
        log_prob: Given points (N, D), the work of scoring them.
        sample: Given n, the work of drawing n.
        wait: Waits for what a work returned, where works return early.
        members: Models that one step updates.
    """

    parameters: int
    step: Work
    log_prob: Callable[[np.ndarray], Work]
    sample: Callable[[int], Work]
    wait: Callable[[object], object] = id
    members: int = 1
