"""Rows of results, kept as soon as they are there: a call cut off carries on, two go side by side."""

from __future__ import annotations

import fcntl
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.files import write_whole


def kept(path: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    return json.loads(path.read_text()) if path.exists() else []


def keep(path: Path, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add a row to those that are there now, which may be more than this call knows of."""
    with path.parent.joinpath(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = [*kept(path), dict(row)]
        write_whole(path, json.dumps(rows, indent=1) + "\n")
    return rows


def medians(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, float]:
    """Of each key, over the rows that have a number there; nothing of a key that none has."""
    numbers = {key: [row[key] for row in rows if row.get(key) is not None] for key in keys}
    return {key: statistics.median(values) for key, values in numbers.items() if values}
