"""Rows of results, kept as soon as they are there: a call cut off carries on, two go side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.files import write_whole


def kept(path: Path) -> list[dict[str, Any]]:
    """All rows so far."""
    return json.loads(path.read_text()) if path.exists() else []


def keep(path: Path, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add a row to those that are there now, which may be more than this call knows of."""
    rows = [*kept(path), dict(row)]
    write_whole(path, json.dumps(rows, indent=1) + "\n")
    return rows
