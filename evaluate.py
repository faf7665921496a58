"""Judge a trained flow, draw from it, score or fill a table: python evaluate.py task=report run=latest."""

from __future__ import annotations

from typing import Any

from flows.cli import entry  # the rest is imported where it is used, so that --help answers at once


@entry("evaluate")
def evaluate(config: dict[str, Any]) -> None:
    """Do the task on what the run saved; nothing outside the allowlist is built, whatever the run names.

    A `sweep` is put together instead, its runs by themselves only if `evaluate_missing`.
    """
    from flows.evaluation.tasks import perform

    sweep = {key: config.pop(key, None) for key in ("sweep", "evaluate_missing")}
    if sweep["sweep"] is None and not sweep["evaluate_missing"]:
        perform(config)
    else:
        from flows.sweeps.evaluate import put_together

        put_together(**sweep, config=config, perform=perform)


if __name__ == "__main__":
    evaluate()
