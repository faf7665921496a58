"""Whether draws lie where real points do, and reach all of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from flows.evaluation.metrics.pairwise import distance_blocks

NEIGHBOURS = 5  # the ball of a point reaches its fifth neighbour


class Manifold(NamedTuple):
    """Shares between 0 and 1; draws of the same law have less than 1 of either."""

    precision: float
    recall: float


def precision_recall(real: Tensor, drawn: Tensor) -> Manifold:
    """Share of draws within the balls about real points, and of real points within those about draws.

    A ball reaches to the fifth nearest other point of its own cloud. In float64, a block at a time.

    Shapes: real (N, *shape), drawn (M, *shape), more than five of each.
    References: Kynkäänniemi et al. 2019, Improved precision and recall metric for assessing generative
        models, arXiv:1904.06991.
    """
    return Manifold(_covered(drawn, real), _covered(real, drawn))


def _covered(points: Tensor, centres: Tensor) -> float:
    nearest = [block.topk(NEIGHBOURS + 1, largest=False) for block in distance_blocks(centres, centres)]
    radii = torch.cat([each.values[:, -1] for each in nearest])  # the nearest of all is the point itself
    return sum(int((block <= radii).any(1).sum()) for block in distance_blocks(points, centres)) / len(points)
