"""A table larger than memory as a dataset: rows that stay in their file, dealt out in runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from data.column import check_feature, check_range, step
from data.ends import Asked, within
from data.learnable import check_equal, check_training, tell_idle
from data.mapped import Mapped, run_size
from data.npy import Npy
from data.points import dealt
from data.scan import scan
from flows.core import Density, Part, Spec
from flows.errors import UserError


@final
class Rows:
    """A dataset of a file's rows, split by runs of neighbours that the seed deals out.

    A run is 64 KiB of rows, or a thousandth of the file if that is less. So rows that are near each other,
    and may be alike, mostly land in one part. The file is looked through once, a block at a time, before
    anything else; it mustn't change afterwards.

    Args:
        file: Where the rows lie.
        names, context: The columns that are modelled, and those that are given.
        support: Ends that are known of some of the first.
        drop: Whether rows with a missing or infinite number are left out, which is told on stderr. Their
            places stay in memory.
        val: Share of the runs for validation.
        test: Share of the runs for the test.
        seed: Of the split, not negative.

    Raises: UserError if a number is missing or infinite and rows may not be left out, a column can't be
        modelled, or a part is empty.
    """

    def __init__(
        self,
        file: Npy,
        names: Sequence[str],
        context: Sequence[str],
        support: Asked,
        drop: bool,
        val: float,
        test: float,
        seed: int,
    ) -> None:
        self.truth: Density | None = None
        columns = [file.names.index(name) for name in (*names, *context)]
        dtypes = tuple(file.dtypes[column] for column in columns)
        quantum = tuple(step(kind) for kind in dtypes[: len(names)])
        self.spec = Spec(
            names=tuple(names),
            shape=(len(names),),
            context_names=tuple(context),
            context_shape=(len(context),) if context else None,
            quantum=quantum if any(each is not None for each in quantum) else None,
            dtypes=dtypes[: len(names)],
            context_dtypes=dtypes[len(names) :] or None,
        )
        self._file, self._columns = file, columns
        self._size = run_size(len(file), file.row_bytes)
        self._runs = dealt(-(-len(file) // self._size), val, test, seed, f"runs of {self._size:,} rows")
        extents, alike, self._lost = scan(file, columns, drop)
        for part in self._runs:
            if not len(self.source(part)):
                raise UserError(f"{file.path}: every row of {part} has missing cells; give another seed")
        try:
            ends = []
            for name, each in zip(names, quantum, strict=True):
                check_feature(name, extents[name], each)
                ends.append(within(name, support, extents[name], each))
            for name in context:
                check_range(name, extents[name])
            check_equal(alike, [name for name, each in zip(names, quantum, strict=True) if each is None])
            if any(ends):
                self.spec = self.spec._replace(support=tuple(ends))
            check_training(self)
        except UserError as error:
            raise UserError(f"{file.path}: {error}") from None
        constant = [name for name in names if extents[name].low == extents[name].high]
        tell_idle(file.path, constant, [[name for name in group if name in names] for group in alike])

    def source(self, part: Part) -> Mapped:
        """Rows (N, D) in float64, with their contexts if there are any."""
        runs = self._runs[part].sort().values
        return Mapped(self._file, self._columns, len(self.spec.names), runs, self._size, self._lost)

    def classes(self, part: Part) -> None:
        """Numbers have none."""

    def layout(self, part: Part) -> None:
        """Rows are no fields."""
