"""What stands in a run's own YAML and JSON, read within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import yaml

from flows.errors import UserError
from flows.files import read_bounded
from flows.wording import one_line

YAML, JSON = 2**20, 2**26  # most bytes; a mask of cells makes the second long


@final
class _Reader(yaml.SafeLoader):
    """Takes no alias: a few of them, one inside the other, unfold to more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias, {self.peek_event().start_mark}")
        return super().compose_node(parent, index)


@final
class _Writer(yaml.SafeDumper):
    """Writes twice what is there twice, since aliases aren't read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def content(path: Path) -> Any:
    """What a `.yaml` or a `.json` file holds; nothing is built, and no reference resolved.

    Raises: UserError if it can't be read, or is larger than such a file gets.
    """
    try:
        if path.suffix == ".json":
            return json.loads(read_bounded(path, JSON))
        return yaml.load(read_bounded(path, YAML), _Reader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: can't be read ({one_line(error)})") from error


def mapping(path: Path) -> dict[str, Any]:
    """The same, where it is a mapping.

    Raises: UserError as above, or if it is none.
    """
    found = content(path)
    if not isinstance(found, dict):
        raise UserError(f"{path}: holds no keys; expected what training wrote there")
    return found


def dumped(keys: Mapping[str, Any]) -> str:
    """A mapping as YAML that `mapping` reads."""
    return yaml.dump(dict(keys), Dumper=_Writer, sort_keys=False)
