"""The README's picture of speed, of what `make bench` measured: python -m docs.speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flows.evaluation.figures import png
from flows.evaluation.plots.style import INK, MUTED, PALETTE, TEXT, label, panels
from flows.files import write_whole

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

TITLES = {"realnvp": "RealNVP, 2 features, batch 256", "spline": "neural spline, 5 features, batch 512"}
LIMIT = "matrix products"
WAYS = {
    "": ("as documented", PALETTE[0]),
    "fused Adam": ("with fused Adam", PALETTE[4]),
    "compiled": ("compiled", PALETTE[1]),
    "batched": ("per model, 16 trained together", PALETTE[2]),
    "batched, compiled": ("16 together, compiled", PALETTE[3]),
}
THICK = 0.19


def bars(axes: Axes, rows: dict[str, dict[str, Any]], title: str) -> None:
    """A training step of each contender as a multiple of ours, a bar for each way it is run in."""
    ours = rows["flowlab"]["milliseconds"]
    names = [name for name in dict.fromkeys(row.partition(", ")[0] for row in rows) if name != LIMIT]
    for place, name in enumerate(names):
        ways = [way for way in WAYS if f"{name}, {way}".removesuffix(", ") in rows]
        for k, way in enumerate(ways):
            times = rows[f"{name}, {way}".removesuffix(", ")]["milliseconds"] / ours
            at = place + (k - (len(ways) - 1) / 2) * THICK
            axes.barh(at, times, 0.9 * THICK, color=WAYS[way][1])
            axes.text(times, at, f" {times:.2f}", va="center", color=INK, fontsize=TEXT - 3)
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.axvline(rows[LIMIT]["milliseconds"] / ours, color=MUTED, linewidth=1.2, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    label(axes, title, f"a training step, × flowlab's {ours:.1f} ms (shorter is faster)")


found = json.loads(Path("benchmarks/results/steps.json").read_text())["results"]
figure, axes = panels(1, 2, 3.2)
figure.set_size_inches(10, 4.6)
for each, (kind, title) in zip(axes, TITLES.items(), strict=True):
    (rows,) = (work["contenders"] for work in found[kind]["work"] if work["work"] == "step")
    bars(each, rows, title)
marks: list[Artist] = [Patch(color=colour, label=told) for told, colour in WAYS.values()]
marks.append(Line2D([], [], color=MUTED, linestyle=":", label="the nets' matrix products alone"))
figure.legend(
    handles=marks, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=TEXT - 1
)
write_whole(Path("docs/speed.png"), png(figure))
