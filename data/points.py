"""Examples in memory, dealt out at random to train, val and test."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from data.memory import InMemory
from flows.core import Density, Part, Spec
from flows.errors import UserError


@final
class Points:
    """A dataset of independent examples, split by a permutation that the seed fixes.

    Args:
        x: Examples (N, D), float64; on a lattice, its points.
        spec: What one of them is.
        val: Share of the examples for validation.
        test: Share of the examples for the test.
        seed: Of the split, not negative.
        context: What each is given (N, C), or None.
        classes: An integer (N,) for each to colour it by in figures, or None.
        truth: Their density where it is known; on a lattice, that of points spread over their cells.

    Raises: UserError if a part would be empty.

    >>> points = Points(torch.zeros(10, 2), Spec(("a", "b"), (2,)), val=0.1, test=0.2, seed=0)
    >>> [len(points.source(part)) for part in ("train", "val", "test")]
    [7, 1, 2]
    """

    def __init__(
        self,
        x: Tensor,
        spec: Spec,
        val: float,
        test: float,
        seed: int,
        context: Tensor | None = None,
        classes: Tensor | None = None,
        truth: Density | None = None,
    ) -> None:
        self.spec = spec
        self.truth = truth
        self._x = x
        self._context = context
        self._classes = classes
        self._places = dealt(len(x), val, test, seed)
        self._sources: dict[Part, InMemory] = {}

    def source(self, part: Part) -> InMemory:
        """Examples (N, D) in float64, with their contexts if there are any."""
        if part not in self._sources:
            places = self._places[part]
            context = None if self._context is None else self._context[places]
            self._sources[part] = InMemory(self._x[places], context)
        return self._sources[part]

    def classes(self, part: Part) -> Tensor | None:
        """Each example's class (N,), or None."""
        return None if self._classes is None else self._classes[self._places[part]]

    def layout(self, part: Part) -> None:
        """Points are no fields."""


def dealt(n: int, val: float, test: float, seed: int, what: str = "examples") -> dict[Part, Tensor]:
    """Numbers 0, …, n - 1 dealt out to train, val and test by a permutation that the seed fixes.

    Raises: UserError, which speaks of `what`, if a part would be empty.

    >>> {part: len(places) for part, places in dealt(10, val=0.1, test=0.2, seed=0).items()}
    {'train': 7, 'val': 1, 'test': 2}
    """
    held_out: dict[Part, int] = {"val": round(val * n), "test": round(test * n)}
    sizes: dict[Part, int] = {"train": n - sum(held_out.values()), **held_out}
    for part, size in sizes.items():
        if size < 1:
            raise UserError(
                f"dataset: {n} {what}, val={val} and test={test} leave none for {part}; "
                f"give more {what.partition(' ')[0]} or other shares"
            )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    return dict(zip(sizes, order.split([*sizes.values()]), strict=True))
