"""Tables as text: for files, and for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any


def csv_text(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a CSV file has them.

    >>> csv_text([("a", "b"), (1, "x, y")])
    'a,b\\n1,"x, y"\\n'
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def aligned(lines: Sequence[Sequence[str]], left: int) -> str:
    """Lines of equally many cells as columns, the first `left` of them flush left, the others flush right.

    >>> print(aligned([("metric", "value"), ("nll", "1.25")], left=1))
    metric  value
    nll      1.25
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
