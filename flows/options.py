"""Which options of a group in `conf/` have a key."""

from __future__ import annotations

import re
from pathlib import Path

CONF = Path(__file__).parent.parent / "conf"
FEW = 6  # options that are worth naming; what more of them have is no hint


def having(group: str, key: str) -> list[str]:
    """Names of the options with a key of that name; none if they are many, or there is no such group.

    >>> having("dataset", "path"), having("dataset", "n_train"), having("nothing", "path")
    (['arrays', 'netcdf', 'table'], [], [])
    """
    line = re.compile(rf"^{re.escape(key)}:", re.MULTILINE)
    found = sorted(
        file.stem for file in (CONF / group).glob("*.yaml") if line.search(file.read_text("utf-8"))
    )
    return found if len(found) <= FEW else []
