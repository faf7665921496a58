"""Numbers that judge a density on points, each with its interval or its floor."""

from flows.evaluation.metrics.agreement import ChiSquare, sample_chi2, truth_ratio
from flows.evaluation.metrics.bootstrap import Interval, bootstrap
from flows.evaluation.metrics.energy import disjoint_halves, energy_distance, floor, gaussian_distance

__all__ = [
    "ChiSquare",
    "Interval",
    "bootstrap",
    "disjoint_halves",
    "energy_distance",
    "floor",
    "gaussian_distance",
    "sample_chi2",
    "truth_ratio",
]
