"""The row of a CSV file that has too many cells, counted as every error of a table counts rows."""

from __future__ import annotations

import csv
from pathlib import Path


def surplus(path: Path) -> str:
    """What is wrong with the first row that has more cells than the header has names.

    Rows are counted from 1, below the header; blank lines are rows only of a single column. pandas would
    give the line of the file, and only where a row is longer than the first.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("a,b\\n1,2\\n\\n3,4,5\\n")
    ...     surplus(path)
    'row 2 has 3 cells, but the header 2 names'
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file)
            width = len(next((cells for cells in reader if "".join(cells).strip()), []))
            rows = (cells for cells in reader if width == 1 or len(cells) > 1 or "".join(cells).strip())
            for number, cells in enumerate(rows, 1):
                if len(cells) > width:
                    return f"row {number} has {len(cells)} cells, but the header {width} names"
    except csv.Error:  # of a cell without end, for one, which pandas reads otherwise
        pass
    return "rows have more cells than the header has names"
