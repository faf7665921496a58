"""How rough fields are, at each scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flows.evaluation.metrics.ensemble import spectrum
from flows.evaluation.plots.style import COLUMNS, GENERATED, REAL, cut, label, legend, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectrum_panels(x: Tensor, members: Tensor, names: Sequence[str]) -> Figure:
    """Power by wave number, of what came true and of members, a channel a panel.

    Shapes: x (N, C, H, W); members (N, M, C, H, W).
    """
    from matplotlib.ticker import NullFormatter

    columns = min(COLUMNS, len(names))
    figure, axes = panels(-(-len(names) // columns), columns, 2.9, range(len(names)))
    for channel, (each, name) in enumerate(zip(axes, names, strict=True)):
        real, generated = spectrum(x[:, channel]), spectrum(members[:, :, channel])
        waves = torch.arange(1, len(real) + 1).tolist()
        each.loglog(waves, real.tolist(), color=REAL, linewidth=2.5, alpha=0.6, label="real")
        each.loglog(waves, generated.tolist(), color=GENERATED, linewidth=1.4, label="generated")
        each.set_xscale("log", base=2)
        each.xaxis.set_major_formatter("{x:.0f}")
        low, high = each.get_ylim()
        each.set_ylim(min(low, high / 10), high)  # a decade at least, so that a tick is labelled
        for axis in (each.xaxis, each.yaxis):
            axis.set_minor_formatter(NullFormatter())
        label(each, cut(name, 24), "waves per field", "" if channel % columns else "power")
    legend(axes[0])
    return figure
