"""Numbers that judge a density or its draws on points, each with its interval, its floor or its chance."""

from flows.evaluation.metrics.agreement import sample_chi2, truth_ratio
from flows.evaluation.metrics.bootstrap import Interval, bootstrap
from flows.evaluation.metrics.c2st import classifier_accuracy
from flows.evaluation.metrics.energy import energy_distance, gaussian_distance
from flows.evaluation.metrics.manifold import precision_recall
from flows.evaluation.metrics.marginals import histogram_kl, wasserstein
from flows.evaluation.metrics.memorisation import (
    coincide,
    copying_z,
    nearest_distance,
    nearest_is_train,
)
from flows.evaluation.metrics.mmd import median_distance, mmd, permutation_p
from flows.evaluation.metrics.pairwise import discrepancies, distance_blocks, gaussian

__all__ = [
    "Interval",
    "bootstrap",
    "classifier_accuracy",
    "coincide",
    "copying_z",
    "discrepancies",
    "distance_blocks",
    "energy_distance",
    "gaussian",
    "gaussian_distance",
    "histogram_kl",
    "median_distance",
    "mmd",
    "nearest_distance",
    "nearest_is_train",
    "permutation_p",
    "precision_recall",
    "sample_chi2",
    "truth_ratio",
    "wasserstein",
]
