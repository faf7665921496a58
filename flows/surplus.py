"""The row of a CSV file that has too many cells, counted as every error of a table counts rows."""

from __future__ import annotations

import csv
from pathlib import Path


def surplus(path: Path) -> str:
    """What is wrong with the first row that has more cells than the header has names.

    Rows are counted from 1, below the header, blank lines left out: pandas would give the line of the file,
    and only where a row is longer than the first.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("a,b\\n1,2\\n\\n3,4,5\\n")
    ...     surplus(path)
    'row 2 has 3 cells, but the header 2 names'
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = (cells for cells in csv.reader(file) if len(cells) > 1 or "".join(cells).strip())
            width = len(next(rows, []))
            for number, cells in enumerate(rows, 1):
                if len(cells) > width:
                    return f"row {number} has {len(cells)} cells, but the header {width} names"
    except csv.Error:  # of a cell without end, for one, which pandas reads otherwise
        pass
    return "rows have more cells than the header has names"
