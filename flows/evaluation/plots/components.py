"""The plane in which the data varies most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.plots.style import GENERATED, REAL, label, pair, scatter, window

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def component_panels(real: Tensor, generated: Tensor) -> Figure:
    """Both clouds in the first two principal components of the real one, each feature in its deviations.

    Shapes: real, generated (N, D), N and D at least two.

    Args:
        real: Held-out points, which alone settle mean, scale and components.
        generated: Draws of the model.

    References: Jolliffe 2002, Principal component analysis, doi:10.1007/b98835.
    """
    from sklearn.decomposition import PCA

    mean, std = real.mean(0), real.std(0)
    std = torch.where(std > 0, std, 1.0)
    pca = PCA(2, random_state=0).fit(((real - mean) / std).numpy())
    loadings = torch.from_numpy(pca.components_).to(real)
    clouds = [((points - mean) / std) @ loadings.T for points in (real, generated)]
    limits = window(clouds[0])
    names = [f"component {k + 1} ({share:.0%})" for k, share in enumerate(pca.explained_variance_ratio_)]
    figure, axes = pair(limits)
    titles = (("real", REAL), ("generated", GENERATED))
    for each, points, (title, colour) in zip(axes, clouds, titles, strict=True):
        scatter(each, points, colour)
        label(each, title, names[0], names[1] if each is axes[0] else "")
    return figure
