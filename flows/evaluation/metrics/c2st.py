"""Whether a classifier can tell draws from real points."""

from __future__ import annotations

import torch
from torch import Tensor

FOLDS = 5
ROUNDS = 50


def classifier_accuracy(x: Tensor, y: Tensor, generator: torch.Generator) -> float:
    """How often boosted trees name the cloud that a point they haven't seen comes from: ½ is chance.

    Five-fold cross-validation, so that all points are judged. Where nothing tells the two apart, about
    ½ ± ½/√(2N).

    Args:
        x, y: As many points each, at least five, (N, *shape).
        generator: Of the folds.

    References: Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests, arXiv:1610.06545.
    """
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits

    points = torch.cat((x, y)).double().flatten(1).numpy()
    labels = np.repeat([0, 1], [len(x), len(y)])
    seed = int(torch.randint(2**31, (), generator=generator).item())
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(max_iter=ROUNDS, random_state=seed)
    trees.set_params(early_stopping=False)  # "auto" would stop early, and judge otherwise, beyond 10,000
    with threadpool_limits(1):
        return float(cross_val_score(trees, points, labels, cv=folds, scoring="accuracy").mean())
