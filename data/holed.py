"""What is said of a table's rows that have missing or infinite cells."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from flows.errors import UserError


def refuse(file: Path, column: str, row: int, what: str, bad: int, rows: int) -> UserError:
    """The error that names the first such cell, its row counted from 0, and how many rows are like it."""
    return UserError(
        f"{file}: column {column}, row {row + 1}: {what} ({bad} of {rows} rows are so); "
        "correct them, or dataset.missing=drop leaves them out"
    )


def leave_out(file: Path, bad: int, rows: int, columns: Sequence[str]) -> None:
    """Say on stderr that rows are left out, for cells in these columns.

    Raises: UserError if too few are left.
    """
    where = ", ".join(columns)
    if rows - bad < 2:
        raise UserError(f"{file}: {bad} of {rows} rows have missing cells in {where}; too few are left")
    print(f"{file}: {bad:,} of {rows:,} rows left out, for missing cells in {where}", file=sys.stderr)
