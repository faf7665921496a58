"""The very points that scikit-learn draws along half-circles and circles.

They are drawn here because its import, SciPy's included, takes about as long as all else before a run's first
step; that they are equal bit for bit is tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Classes = NDArray[np.intp]


def half_circles(n: int, random_state: int, noise: float) -> tuple[Points, Classes]:
    """Points (n, 2) and moons (n,) of `sklearn.datasets.make_moons`."""
    upper, lower = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    return _strewn(
        [
            np.stack([np.cos(upper), np.sin(upper)], 1),
            np.stack([1 - np.cos(lower), 1 - np.sin(lower) - 0.5], 1),
        ],
        noise,
        random_state,
    )


def two_circles(n: int, random_state: int, noise: float, factor: float) -> tuple[Points, Classes]:
    """Points (n, 2) and circles (n,) of `sklearn.datasets.make_circles`."""
    outer, inner = (np.linspace(0, 2 * np.pi, part, endpoint=False) for part in (n // 2, n - n // 2))
    return _strewn(
        [
            np.stack([np.cos(outer), np.sin(outer)], 1),
            np.stack([np.cos(inner) * factor, np.sin(inner) * factor], 1),
        ],
        noise,
        random_state,
    )


def _strewn(curves: Sequence[Points], noise: float, random_state: int) -> tuple[Points, Classes]:
    """The points of all curves, shuffled, then blurred."""
    generator = np.random.RandomState(random_state)
    points = np.concatenate(curves)
    classes = np.repeat(np.arange(len(curves)), [*map(len, curves)])
    order = np.arange(len(points))
    generator.shuffle(order)
    return points[order] + generator.normal(scale=noise, size=points.shape), classes[order]
