"""metrics.csv: one row a logged step, one column a metric."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import final

from flows.errors import UserError
from flows.files import write_whole, writing
from flows.wording import one_line


@final
class Table:
    """Appends rows to a CSV file whose columns grow as metrics appear; unmeasured cells stay empty.

    Args:
        path: The file.
        step: Rows beyond this step are dropped: a run that resumes writes them again.

    Raises: UserError if the table that a resumed run left can't be parsed.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self.path = path
        rows = _upto(path, step) if path.exists() and step else []
        self.columns = ["step", *dict.fromkeys(k for row in rows for k in row if k != "step")]
        self._rewrite(rows)

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row; floats in full, so that reading gives the same numbers."""
        new = [name for name in values if name not in self.columns]
        with writing(self.path):
            if new:
                self._file.close()
                self.columns += new
                self._rewrite(read(self.path))
            self._writer.writerow({"step": str(step), **{k: repr(float(v)) for k, v in values.items()}})
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        lines = [self.columns] + [[row.get(name, "") for name in self.columns] for row in rows]
        write_whole(self.path, "".join(",".join(line) + "\n" for line in lines))
        self._file = self.path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, self.columns, restval="", lineterminator="\n")


def _upto(path: Path, step: int) -> list[dict[str, str]]:
    try:
        return [row for row in read(path) if int(row["step"]) <= step]
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path}: damaged ({type(error).__name__}: {one_line(error)}); "
            "move it away to carry on without it"
        ) from error


def read(path: Path) -> list[dict[str, str]]:
    """The whole rows of a metrics file; a last line that a crash cut short is left out."""
    lines = path.read_text().splitlines(keepends=True)
    rows = csv.DictReader(line for line in lines if line.endswith("\n"))
    return [row for row in rows if None not in row.values()]
