"""flowlab: normalizing flows, their objectives, their training and their judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flows.core import Density


def load(
    run: str | Path, checkpoint: str = "best", trusted: tuple[str, ...] = (), raw: bool = False
) -> Density:
    """The model of a run, ready to score and sample: log_prob and sample speak the data's units.

    Of data on a lattice (pixels, counts) it is the density of points spread over their cells, whose draws
    are brought back onto the lattice.

    Args:
        run: A run's directory.
        checkpoint: "best" or "last".
        trusted: Packages of your own that the run's configuration may name.
        raw: Give the model itself, whose draws aren't brought onto a lattice.

    Raises: UserError if it isn't a run's directory, or holds no whole checkpoint.
    """
    from flows.lattice import OnLattice  # torch and all; `import flows` alone stays light
    from flows.training.saved import Saved

    saved = Saved(run)
    density = saved.density(checkpoint, trusted)
    return density if raw or saved.spec.quantum is None else OnLattice(density, saved.spec)
