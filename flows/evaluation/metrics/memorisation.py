"""Whether draws repeat the training points."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

ONE_PERCENT = 2.326  # standard deviations that a normal variable exceeds once in a hundred


class Share(NamedTuple):
    """A share, and what it is on average and but once in a hundred times at most, if all is well."""

    value: float
    floor: float
    floor_99: float


def nearest_distance(points: Tensor, train: Tensor) -> Tensor:
    """Distance of each point (N, D) to the nearest of train (M, D), float64 (N,); exactly 0 for a copy."""
    return (points - train[_nearest(points, train)]).double().norm(dim=1)


def copying_z(drawn: Tensor, heldout: Tensor) -> float:
    """z-score of the Mann–Whitney U of draws' distances to training points against held-out points' ones.

    Standard normal where the two follow one law; far below zero where draws are closer to the training
    points than new points are. Ties, which are common on a lattice, count half and narrow the spread.

    Draws too close for another reason, such as a law that is too narrow, lower it as well.

    Shapes: drawn (N,), heldout (M,): from `nearest_distance`.
    References: Meehan et al. 2020, A non-parametric test to detect data-copying in generative models,
        arXiv:2004.05675.
    """
    from scipy import stats

    n, m = len(drawn), len(heldout)
    ranks = stats.rankdata(torch.cat((drawn, heldout)).numpy())
    u = ranks[:n].sum() - n * (n + 1) / 2
    spread = math.sqrt(stats.tiecorrect(ranks) * n * m * (n + m + 1) / 12)
    return float((u - n * m / 2) / spread) if spread else 0.0  # all distances equal


def nearest_is_train(drawn: Tensor, train: Tensor, heldout: Tensor) -> Share:
    """Share of draws whose nearest real point is a training point, not a held-out one.

    Training and held-out points of one law could be exchanged. So a model that has taken no more from the
    ones than that law, however good or bad it is, gives each real point the same chance to be a training
    point, among those nearest to some draw too: that fixes the mean and the variance under random
    exchanges, and with them `floor` and `floor_99` (normal approximation). Where several real points
    coincide, each has its part in the draws that are nearest to them.

    Shapes: drawn (N, D), train (M, D), heldout (K, D).
    References: Platzer and Reutterer 2021, Holdout-based empirical assessment of mixed-type synthetic
        data, arXiv:2104.00635.
    """
    real, labels = torch.cat((train, heldout)), torch.cat((torch.ones(len(train)), torch.zeros(len(heldout))))
    names, site, multiplicity = _hashed(real).unique(return_inverse=True, return_counts=True)
    sites = real[torch.empty_like(names).scatter_(0, site, torch.arange(len(real)))]
    hits = _nearest(drawn, sites).bincount(minlength=len(sites))
    weight = (hits / multiplicity / len(drawn)).double()[site]  # each real point's part in the draws
    total, chance = len(real), len(train) / len(real)
    variance = chance * (1 - chance) * total / (total - 1) * (weight - 1 / total).square().sum().item()
    value = (weight * labels).sum().item()
    return Share(value, chance, chance + ONE_PERCENT * math.sqrt(variance))


def coincide(points: Tensor, train: Iterable[Tensor]) -> Tensor:
    """Which points (N, *shape) are among blocks of train (M, *shape), in models' float32; bool (N,)."""
    given = _hashed(points.flatten(1).float())
    found = torch.zeros(len(points), dtype=torch.bool)
    for block in train:
        found |= torch.isin(given, _hashed(block.flatten(1).float()))
    return found


def _hashed(rows: Tensor) -> Tensor:
    """A number of 64 bits for each of rows (N, D), the same for equal ones and for hardly any others.

    Among two millions, two that differ share one with a chance of 1e-7. To sort the rows themselves would
    take a gigabyte where they have five numbers.
    """
    import numpy as np
    import pandas as pd
    from pandas.util import hash_pandas_object

    frame = pd.DataFrame((rows.double() + 0.0).numpy())  # -0.0 equals 0.0
    hashed: Any = hash_pandas_object  # which pandas gives no type
    return torch.from_numpy(hashed(frame, index=False).to_numpy().view(np.int64).copy())


def _nearest(points: Tensor, train: Tensor) -> Tensor:
    """Place of the nearest of train (M, D) to each of the points (N, D)."""
    from sklearn.neighbors import NearestNeighbors

    tree = NearestNeighbors(n_neighbors=1).fit(train.double().numpy())
    return torch.from_numpy(tree.kneighbors(points.double().numpy(), return_distance=False)[:, 0])
