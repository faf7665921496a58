"""What everybody builds: couplings of as many layers, whose nets are as wide and as deep."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

LR, EXAMPLES = 1e-3, 30_000


class Architecture(NamedTuple):
    """A flow of couplings whose masks alternate, and the batches it is trained on.

    Args:
        kind: Affine couplings, or rational-quadratic splines.
        features: Dimensions of the data.
        layers: Couplings.
        width: Units of each hidden layer of their nets.
        depth: Hidden layers.
        batch: Examples of a training step.
        bins: Pieces of a spline.
        reach: Half the interval of a spline.
    """

    kind: Literal["realnvp", "spline"]
    features: int
    layers: int
    width: int
    depth: int
    batch: int
    bins: int = 0
    reach: float = 5.0

    def kept(self, layer: int) -> list[bool]:
        """The features that a coupling passes through."""
        return [feature % 2 == layer % 2 for feature in range(self.features)]

    def nets(self) -> list[list[int]]:
        """Units of each coupling's net, from input to output."""
        each = 2 if self.kind == "realnvp" else 3 * self.bins + 1
        kept = [sum(self.kept(layer)) for layer in range(self.layers)]
        return [[k, *[self.width] * self.depth, each * (self.features - k)] for k in kept]

    @property
    def products(self) -> list[tuple[int, int]]:
        """Shapes of all weights, first layers included."""
        return [shape for sizes in self.nets() for shape in pairwise(sizes)]

    @property
    def parameters(self) -> int:
        return sum(a * b + b for a, b in self.products)

    def data(self, examples: int | None = None) -> np.ndarray:
        """Points to train on, or so many to judge (N, features), float32; their law doesn't matter."""
        shape = (examples or max(EXAMPLES, self.batch), self.features)
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


ARCHITECTURES = {
    "realnvp": Architecture("realnvp", features=2, layers=8, width=64, depth=2, batch=256),
    "spline": Architecture("spline", features=5, layers=5, width=128, depth=2, batch=512, bins=8),
}
