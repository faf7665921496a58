"""Fields over time as a dataset: split by time, whole, in memory where they fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import torch
from torch import Tensor

from data.cases import Cases
from data.memory import InMemory
from data.on_disk import CHUNK, OnDisk
from flows.core import Part, Source, Spec
from flows.errors import UserError
from flows.masks import encode
from flows.signals import stop_if_asked

if TYPE_CHECKING:
    import xarray as xr

Missing = Literal["refuse", "drop", "exclude"]
MEMORY = 2**28  # bytes of a part that is read once and kept


@final
class Observed:
    """A dataset of cases that follow each other in time, its parts one after another, gaps between them.

    Args:
        cases: Where they are read.
        names, context_names: Of the channels.
        found: What of them is used.
        parts: The steps of each part.
        layout: Coordinates and attributes of the cases given by number, or None.

    Raises: UserError if a part is empty, or two channels of the context have one name.
    """

    def __init__(
        self,
        cases: Cases,
        names: Sequence[str],
        context_names: Sequence[str],
        found: Whole,
        parts: Mapping[Part, range],
        layout: Callable[[Tensor], xr.Dataset] | None = None,
    ) -> None:
        context = len(context_names)
        for name in context_names:
            if [*context_names].count(name) > 1:
                raise UserError(f"dataset: two channels of the context are called {name}; rename one")
        self.truth = None
        self.spec = Spec(
            names=tuple(names),
            shape=(len(names), *cases.side),
            context_names=tuple(context_names),
            context_shape=(context, *cases.side) if context else None,
            absent=encode(found.absent),
            context_absent=encode(found.context_absent),
        )
        self._cases, self._layout = cases, layout
        self._places = dealt(found.kept, cases.per_step, parts)
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


class Whole(NamedTuple):
    """The cases that are used, in order (N,), and the cells that none of them has, bool (C, H, W)."""

    kept: Tensor
    absent: Tensor
    context_absent: Tensor


def whole(cases: Cases, names: Sequence[str], missing: Missing, when: Callable[[int], str]) -> Whole:
    """The cases without missing or infinite cells, all of them unless others may be dropped.

    Args:
        cases: What is looked through, a run of steps at a time.
        names: Of the channels of x and of context.
        missing: Whether other cases are refused or dropped, which is told on stderr. `exclude` leaves out
            cells that are missing in every case, and drops the cases that lack others.
        when: What to call a step.

    Raises: UserError if there are other cases, or nothing is left.
    """
    if missing == "exclude" and cases.per_step > 1:
        raise UserError("dataset.missing=exclude: patches lack different cells; give dataset.patch=null")
    lacking, never = _lacking(cases)
    if missing == "exclude":
        lacking = lacking - never.sum((-2, -1))
        for name, cells in zip(names, never, strict=True):
            if cells.all():
                raise UserError(f"dataset: {name} has no value in any case; leave it out")
    else:
        never = torch.zeros_like(never)
    bad = lacking.any(1)
    absent, context_absent = never.split([*cases.channels])
    if not bad.any():
        return Whole(torch.arange(len(bad)), absent, context_absent)
    step = int(bad.nonzero()[0]) // cases.per_step
    name = names[int(lacking[bad][0].nonzero()[0])]
    told = (
        f"{int(bad.sum())} of {len(bad)} cases have missing or infinite cells, "
        f"the first at {when(step)}, in {name}"
    )
    if missing == "refuse":
        raise UserError(
            f"dataset: {told}; dataset.missing=drop leaves such cases out, exclude cells that all lack"
        )
    if bad.all():
        raise UserError(f"dataset: {told}; none is left")
    print(f"dataset: {told}; dropped", file=sys.stderr)
    return Whole((~bad).nonzero().squeeze(1), absent, context_absent)


def _lacking(cases: Cases) -> tuple[Tensor, Tensor]:
    """How many cells each case lacks by channel (N, channels), and which all lack (channels, H, W)."""
    run = max(1, CHUNK // (cases.bytes * cases.per_step))
    never = torch.ones(sum(cases.channels), *cases.side, dtype=torch.bool)
    counts = torch.empty(len(cases), len(never), dtype=torch.long)
    for start in range(0, len(cases.steps), run):
        stop_if_asked()
        x, context = cases.read(start, min(start + run, len(cases.steps)))
        lack = ~(x if context is None else torch.cat((x, context), 1)).isfinite()
        first = start * cases.per_step
        counts[first : first + len(lack)] = lack.sum((-2, -1))
        never &= lack.all(0)
    return counts, never


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
            raise UserError(f"dataset: no case of {part} is left: all have missing cells, or lack a context")
    return found
