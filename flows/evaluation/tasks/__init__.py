"""What can be done with a finished run: one file a task, whose function's signature is its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, get_type_hints

from flows.config import check_keys


def perform(config: Mapping[str, Any]) -> None:
    """Check a configuration against its task's signature, then do the task.

    Args:
        config: The `task` by name, and its arguments.

    Raises: UserError if a key or value doesn't fit, or from the task.
    """
    given = dict(config)
    name = given.pop("task")
    task = getattr(import_module(f"flows.evaluation.tasks.{name}"), name)
    hints = get_type_hints(task, include_extras=True)
    schema = {key: hint for key, hint in hints.items() if key != "return"}
    check_keys(given, type(name, (), {"__annotations__": schema}))
    task(**given)
