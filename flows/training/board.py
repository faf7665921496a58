"""TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import yaml
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from flows.training.folder import flat

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
class Board:
    """One run's event files: scalars, figures, configuration, hyper-parameters.

    Args:
        folder: Where event files go.
        config: Nested configuration.
        metrics: Live scalars that the HPARAMS tab shows beside the configuration.
        step: The last step that counts; later events of a process that died are purged.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], metrics: Sequence[str], step: int) -> None:
        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        self.writer.add_text("config", f"```yaml\n{yaml.safe_dump(dict(config), sort_keys=False)}```", step)
        # the session's own records, in the run's own writer: `add_hparams` would make a run of its own
        experiment, start, self._end = hparams(
            _hyperparameters(config), {_tag(name): 0.0 for name in metrics}
        )
        for summary in (experiment, start):
            self._file.add_summary(summary)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(_tag(name), value, step)

    def figures(self, step: int, figures: Mapping[str, Figure]) -> None:
        for name, figure in figures.items():
            self.writer.add_figure(name, figure, step)

    def close(self) -> None:
        self._file.add_summary(self._end)
        self.writer.close()

    @property
    def _file(self) -> Any:
        return self.writer._get_file_writer()


def _tag(name: str) -> str:
    """val_nll as val/nll, nll as train/nll: TensorBoard groups by what stands before the slash."""
    return f"val/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in flat(config)
        if value is not None
    }
