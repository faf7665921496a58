"""Reports in a hurry, for tests of what a report says and leaves: its numbers are tested with the judges."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

from flows.evaluation import copying, ensembles, figures, judge, measure, report
from flows.evaluation.metrics import c2st, sample_chi2, truth_ratio
from flows.evaluation.tasks import report as task
from flows.sweeps import summary

if TYPE_CHECKING:
    import pytest
    from markupsafe import Markup
    from matplotlib.figure import Figure

FEWER = (
    *((judge, "REDRAWS", 4), (judge, "PAIR_REDRAWS", 2), (judge, "FEW_REDRAWS", 1), (judge, "PERMUTED", 64)),
    *((judge, "DRAWS", 2), (judge, "PAIR_DRAWS", 1), (copying, "CONTROLS", 4), (c2st, "ROUNDS", 3)),
    (ensembles, "REPLICATIONS", 2),
    (measure, "sample_chi2", partial(sample_chi2, n=2000, cells=8)),
    (measure, "truth_ratio", partial(truth_ratio, n=500)),
    *((judge, "ENOUGH", 300), (task, "SHOWN", 300), (task, "DRAWS", 300), (task, "CASES", 4)),
)
_svg = report.svg


def hurry(patch: pytest.MonkeyPatch) -> None:
    """From now on every judge looks fewer times, and figures are drawn roughly."""
    for module, name, less in FEWER:
        patch.setattr(module, name, less)
    for module in (figures, task, summary):
        patch.setattr(module, "png", _rough)
    patch.setattr(report, "svg", _unarranged)


def _rough(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.set_layout_engine(None)  # "none" would still draw each twice
    figure.savefig(buffer, format="png", dpi=20)
    return buffer.getvalue()


def _unarranged(figure: Figure, title: str) -> Markup:
    figure.set_layout_engine(None)  # "none" would still draw each twice
    return _svg(figure, title)
