"""Our sweeper and launchers, which Hydra may build for a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.plugins import Plugins

from flows.sweeps.basic import Basic
from flows.sweeps.launcher import Batched
from flows.sweeps.processes import Processes
from flows.sweeps.slurm import Slurm
from flows.sweeps.sweeper import Sweep

# Hydra takes plugins from these two packages alone; ours stand in its table under names that lie there.
OWN: dict[str, Any] = {
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": Sweep,
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher": Basic,
    "hydra_plugins.flowlab.Batched": Batched,
    "hydra_plugins.flowlab.Processes": Processes,
    "hydra_plugins.flowlab.Slurm": Slurm,
}


@contextmanager
def known() -> Iterator[None]:
    """While the context is open, Hydra knows our launchers, and sweeps by our sweeper."""
    plugins = Plugins.instance()
    before = plugins.class_name_to_class
    plugins.class_name_to_class = {**before, **OWN}
    try:
        yield
    finally:
        plugins.class_name_to_class = before
