"""Invertible maps."""

from flows.transforms.autoregressive import Autoregressive
from flows.transforms.bounded import Logit, Probit, Rescale, bounded, to_reals
from flows.transforms.coupling import Coupling
from flows.transforms.elementwise import Affine, Elementwise
from flows.transforms.partition import Partition, alternating
from flows.transforms.spline import Spline
from flows.transforms.standardize import Standardize

__all__ = [
    "Affine",
    "Autoregressive",
    "Coupling",
    "Elementwise",
    "Logit",
    "Partition",
    "Probit",
    "Rescale",
    "Spline",
    "Standardize",
    "alternating",
    "bounded",
    "to_reals",
]
