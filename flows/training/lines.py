"""What a log shows in the place of a bar."""

from __future__ import annotations

import sys
import time
from typing import final

EVERY = 30.0  # seconds


@final
class Lines:
    """How far a run is and how long it will take, now and then, where nobody sees a bar.

    Args:
        step: Where it begins.
        steps: Where it ends.
    """

    def __init__(self, step: int, steps: int) -> None:
        self.first, self.steps = step, steps
        self.begin = self.told = time.perf_counter()

    def tell(self, step: int) -> None:
        """Called after each step."""
        now = time.perf_counter()
        if now - self.told < EVERY or not self.first < step < self.steps:
            return
        self.told = now
        left = (now - self.begin) / (step - self.first) * (self.steps - step)
        print(f"step {step:,} of {self.steps:,}, {duration(left)} left", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """As people say it.

    >>> duration(44), duration(150), duration(7300)
    ('44 s', '2 min', '2 h 2 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
