"""Invertible maps."""

from flows.transforms.coupling import Coupling
from flows.transforms.elementwise import Affine, Elementwise
from flows.transforms.partition import Partition, alternating
from flows.transforms.standardize import Standardize

__all__ = ["Affine", "Coupling", "Elementwise", "Partition", "Standardize", "alternating"]
