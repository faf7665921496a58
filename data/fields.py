"""Fields on a grid, given others."""

from __future__ import annotations

from typing import final

from data.drawn import Drawn
from data.memory import InMemory
from flows.core import Density, Part, Source, Spec


@final
class Fields:
    """A dataset of fields that are drawn: for training without end, for validation and test a few, kept.

    Args:
        parts: Where each part's examples are drawn.
        spec: What one of them is.
        truth: Their law.
        fresh: Whether training meets new examples all the time; else it has those of one epoch.
    """

    def __init__(self, parts: dict[Part, Drawn], spec: Spec, truth: Density, fresh: bool) -> None:
        self.spec = spec
        self.truth = truth
        self._parts = parts
        self._fresh = fresh
        self._kept: dict[Part, InMemory] = {}

    def source(self, part: Part) -> Source:
        """Examples x (N, C, H, W) and contexts (N, Cc, H, W), in float64."""
        if part == "train" and self._fresh:
            return self._parts[part]
        if part not in self._kept:
            self._kept[part] = InMemory(*self._parts[part].take(slice(None)))
        return self._kept[part]

    def classes(self, part: Part) -> None:
        """Fields have none."""

    def layout(self, part: Part) -> None:
        """Drawn fields lie nowhere."""
