"""Judge a trained flow, draw from it, score or fill a table: python evaluate.py task=report run=latest."""

from __future__ import annotations

from typing import Any

from flows.cli import entry  # the rest is imported where it is used, so that --help answers at once


@entry("evaluate")
def evaluate(config: dict[str, Any]) -> None:
    """Do the task on what the run saved; nothing outside the allowlist is built, whatever the run names."""
    from flows.evaluation.tasks import perform

    perform(config)


if __name__ == "__main__":
    evaluate()
