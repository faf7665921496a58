"""flowlab: normalizing flows, their objectives, their training and their judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flows.core import Density


def load(run: str | Path, checkpoint: str = "best", trusted: tuple[str, ...] = ()) -> Density:
    """The model of a run, ready to score and sample: log_prob and sample speak the data's units.

    Args:
        run: A run's directory.
        checkpoint: "best" or "last".
        trusted: Packages of your own that the run's configuration may name.

    Raises: UserError if it isn't a run's directory, or holds no whole checkpoint.
    """
    from flows.training.saved import Saved  # torch and all; `import flows` alone stays light

    return Saved(run).density(checkpoint, trusted)
