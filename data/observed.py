"""Fields over time as a dataset: split by time, whole, in memory where they fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from data.cases import Cases
from data.memory import InMemory
from data.on_disk import CHUNK, OnDisk
from flows.core import Batch, Part, Source, Spec
from flows.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

Missing = Literal["refuse", "drop"]
MEMORY = 2**29  # bytes of a part that is read once and kept


@final
class Observed:
    """A dataset of cases that follow each other in time, its parts one after another, gaps between them.

    Args:
        cases: Where they are read.
        names, context_names: Of the channels.
        places: The cases of each part, in order.
        layout: Coordinates and attributes of the cases given by number, or None.
    """

    def __init__(
        self,
        cases: Cases,
        names: Sequence[str],
        context_names: Sequence[str],
        places: Mapping[Part, Tensor],
        layout: Callable[[Tensor], xr.Dataset] | None = None,
    ) -> None:
        context = len(context_names)
        self.truth = None
        self.spec = Spec(
            names=tuple(names),
            shape=(len(names), *cases.side),
            context_names=tuple(context_names),
            context_shape=(context, *cases.side) if context else None,
        )
        self._cases, self._places, self._layout = cases, places, layout
        self._sources: dict[Part, Source] = {}

    def source(self, part: Part) -> Source:
        """Examples x (N, C, H, W) and contexts (N, Cc, H, W), in float64."""
        if part not in self._sources:
            found = OnDisk(self._cases, self._places[part])
            fits = len(found) * self._cases.bytes <= MEMORY
            self._sources[part] = InMemory(*found.take(slice(None))) if fits else found
        return self._sources[part]

    def classes(self, part: Part) -> None:
        """Fields have none."""

    def layout(self, part: Part) -> xr.Dataset | None:
        """Coordinates and attributes of this part's cases."""
        return None if self._layout is None else self._layout(self._places[part])


def split(steps: int, val: float, test: float, gap: int) -> dict[Part, range]:
    """Steps of train, validation and test, in this order, `gap` steps between them left out.

    Raises: UserError if a part would be empty.

    >>> split(20, val=0.2, test=0.2, gap=1)
    {'train': range(0, 10), 'val': range(11, 15), 'test': range(16, 20)}
    """
    n_val, n_test = round(val * steps), round(test * steps)
    n_train = steps - n_val - n_test - 2 * gap
    for part, size in (("train", n_train), ("val", n_val), ("test", n_test)):
        if size < 1:
            raise UserError(
                f"dataset: {steps} steps, val={val}, test={test} and gaps of {gap} leave none for {part}; "
                "give more steps or other shares"
            )
    return {
        "train": range(n_train),
        "val": range(n_train + gap, n_train + gap + n_val),
        "test": range(steps - n_test, steps),
    }


def whole(cases: Cases, names: Sequence[str], missing: Missing, when: Callable[[int], str]) -> Tensor:
    """The cases without missing or infinite cells, in order (N,), all of them unless others are dropped.

    Args:
        cases: What is looked through, a run of steps at a time.
        names: Of the channels of x and of context.
        missing: Whether others are refused or dropped, which is told on stderr.
        when: What to call a step.

    Raises: UserError if there are others, or nothing is left.
    """
    lacking = torch.cat([*_lacking(cases)])  # (N, channels)
    bad = lacking.any(1)
    if not bad.any():
        return torch.arange(len(bad))
    step = int(bad.nonzero()[0]) // cases.per_step
    name = names[int(lacking[bad][0].nonzero()[0])]
    told = (
        f"{int(bad.sum())} of {len(bad)} cases have missing or infinite cells, "
        f"the first at {when(step)}, in {name}"
    )
    if missing == "refuse":
        raise UserError(f"dataset: {told}; dataset.missing=drop leaves such cases out")
    if bad.all():
        raise UserError(f"dataset: {told}; none is left")
    print(f"dataset: {told}; dropped", file=sys.stderr)
    return (~bad).nonzero().squeeze(1)


def _lacking(cases: Cases) -> Iterator[Tensor]:
    """Which channels of x and of context lack a cell, case by case (N, channels)."""
    run = max(1, CHUNK // (cases.bytes * cases.per_step))
    for start in range(0, len(cases.steps), run):
        batch = cases.read(start, min(start + run, len(cases.steps)))
        yield torch.cat([~t.isfinite().all(-1).all(-1) for t in _given(batch)], 1)


def _given(batch: Batch) -> list[Tensor]:
    return [batch.x] if batch.context is None else [batch.x, batch.context]


def dealt(kept: Tensor, per_step: int, parts: Mapping[Part, range]) -> dict[Part, Tensor]:
    """The cases that are kept, by the part in which their step lies.

    Raises: UserError if a part has none.
    """
    steps = kept // per_step
    found: dict[Part, Tensor] = {
        part: kept[(steps >= some.start) & (steps < some.stop)] for part, some in parts.items()
    }
    for part, places in found.items():
        if not len(places):
            raise UserError(f"dataset: every case of {part} has missing cells; none is left to use")
    return found
