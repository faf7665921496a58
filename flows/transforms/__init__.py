"""Invertible maps."""

from flows.transforms.autoregressive import Autoregressive, autoregressive_sizes, reversing_order
from flows.transforms.bounded import Logit, Probit, Rescale, bounded, to_reals
from flows.transforms.coupling import Coupling
from flows.transforms.cumulative import Cumulative
from flows.transforms.elementwise import ALL, Affine, Elementwise
from flows.transforms.given import Given
from flows.transforms.guided import Guided
from flows.transforms.halfline import Halfline
from flows.transforms.level import Level
from flows.transforms.mixing import Mixing, haar
from flows.transforms.partition import Partition, alternating
from flows.transforms.spline import Spline
from flows.transforms.squeeze import Squeeze
from flows.transforms.standardize import Standardize, normaliser

__all__ = [
    "ALL",
    "Affine",
    "Autoregressive",
    "Coupling",
    "Cumulative",
    "Elementwise",
    "Given",
    "Guided",
    "Halfline",
    "Level",
    "Logit",
    "Mixing",
    "Partition",
    "Probit",
    "Rescale",
    "Spline",
    "Squeeze",
    "Standardize",
    "alternating",
    "autoregressive_sizes",
    "bounded",
    "haar",
    "normaliser",
    "reversing_order",
    "to_reals",
]
