"""How sure a mean is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Interval(NamedTuple):
    """A mean, and the range that holds the true one in 95 of 100 repetitions."""

    mean: float
    low: float
    high: float

    def flat(self, name: str) -> dict[str, float]:
        """Flat metrics: `name`, `name_low`, `name_high`."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def bootstrap(values: Tensor, generator: torch.Generator, resamples: int = 1000) -> Interval:
    """The mean of values (N,) with its 95 % percentile-bootstrap interval, resampled a block at a time.

    An infinite or undefined value makes the mean so, and the interval undefined.

    References: Efron 1979, Bootstrap methods: another look at the jackknife, doi:10.1214/aos/1176344552.
    """
    import numpy as np
    from scipy import stats

    mean = values.double().mean().item()
    if not bool(values.isfinite().all()):
        return Interval(mean, float("nan"), float("nan"))
    if len(values) < 2:
        return Interval(mean, float("-inf"), float("inf"))  # one value says nothing of the spread
    seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
    result = stats.bootstrap(
        (values.double().cpu().numpy(),),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2**20 // len(values)),
        method="percentile",
        rng=np.random.default_rng(int(seed)),
    )
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))
