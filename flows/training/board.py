"""TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import yaml
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from flows.files import writing
from flows.training.config_diff import flatten, is_free

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_EVENTS = "events.out.tfevents."


@final
class Board:
    """One run's event files: scalars, figures, configuration, hyper-parameters.

    Args:
        folder: Where event files go.
        config: Nested configuration.
        step: The last step that counts; what a process that died wrote beyond it is purged.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        self.folder, first = folder, step + 1
        text = f"```yaml\n{yaml.safe_dump(dict(config), sort_keys=False)}```"
        # The session's records go to the run's own writer: `add_hparams` would make another run of them.
        # The experiment's is left out: it would fix a whole sweep's columns to those of one run.
        _, start, self._end = hparams(hyperparameters(config), {})
        with writing(folder):
            _put_before(folder, int(time.time()))
            self.writer = SummaryWriter(str(folder), purge_step=first)
            self.writer.add_text("config", text, first)
            self._file.add_summary(start)
            self.writer.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve, to be seen at once, and to outlive this process."""
        with writing(self.folder):
            for tag, value in values.items():
                self.writer.add_scalar(tag, value, step)
            self.writer.flush()

    def figures(self, step: int, figures: Mapping[str, Figure]) -> None:
        with writing(self.folder):
            for name, figure in figures.items():
                self.writer.add_figure(f"figures/{name}", figure, step)
            self.writer.flush()

    def finish(self) -> None:
        """Say that all went well."""
        with writing(self.folder):
            self._file.add_summary(self._end)

    def close(self) -> None:
        with writing(self.folder):
            self.writer.close()

    @property
    def _file(self) -> Any:
        return self.writer._get_file_writer()


def _put_before(folder: Path, now: int) -> None:
    """Rename event files of earlier lives, if need be, so that they come before one that begins now.

    TensorBoard reads files in the order of their names, seconds first, then numbers as text; a file read
    after one that purges it would be purged no more. A clock set back, or two lives in a second, upset that.
    """
    found = sorted(path.name.removeprefix(_EVENTS) for path in folder.glob(f"{_EVENTS}[0-9]*.*"))
    names = [name.split(".", 1) for name in found if name.split(".", 1)[0].isdecimal()]
    if names and int(names[-1][0]) >= now:
        for age, (seconds, rest) in zip(range(len(names), 0, -1), names, strict=True):
            (folder / f"{_EVENTS}{seconds}.{rest}").rename(folder / f"{_EVENTS}{now - age:010d}.{rest}")


def hyperparameters(config: Mapping[str, Any]) -> dict[str, int | float | str]:
    """What tells one run from another, in columns that read well: a target is its last name alone."""
    columns: dict[str, int | float | str] = {}
    for key, value in flatten(config).items():
        if value is None or key.endswith("_partial_") or is_free(key):
            continue
        if key.endswith("._target_"):
            columns[key.removesuffix("._target_")] = value.rpartition(".")[2]
        elif isinstance(value, bool):
            columns[key] = str(value).lower()  # TensorBoard would show a number
        else:
            columns[key] = value if isinstance(value, int | float | str) else str(value)
    return columns
