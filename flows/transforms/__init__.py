"""Invertible maps."""

from flows.transforms.autoregressive import Autoregressive
from flows.transforms.bounded import Logit, Probit, Rescale, bounded, to_reals
from flows.transforms.coupling import Coupling
from flows.transforms.cumulative import Cumulative
from flows.transforms.elementwise import ALL, Affine, Elementwise
from flows.transforms.partition import Partition, alternating
from flows.transforms.spline import Spline
from flows.transforms.standardize import Standardize

__all__ = [
    "ALL",
    "Affine",
    "Autoregressive",
    "Coupling",
    "Cumulative",
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
