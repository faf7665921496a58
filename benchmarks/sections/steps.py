"""A training step, scoring and drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.sections.table import table

TOLD = {
    "realnvp": "RealNVP in the plane: 8 affine couplings of 2 × 64 relu units, steps of 256 points",
    "spline": "Neural spline flow of 5 features: 5 couplings, 8 bins, 2 × 128 units, steps of 512 points",
}
SAID = {"log_prob": "Points scored", "sample": "Points drawn"}


def section(results: Mapping[str, Any]) -> list[str]:
    """For each kind of flow, a table of steps and one of points a second."""
    lines = [
        "## A training step",
        "",
        "Contenders take turns, each in a process of its own; medians over rounds, each at the thread count",
        "it is fastest with. Peers have nets of as many parameters and run a plain step (loss, backward,",
        "Adam), and with fused Adam, or compiled, where listed so; flowjax is jitted, its couplings are",
        "8 % larger in five dimensions. Ours also clips, averages, guards and logs. Matrix products: those",
        "of the nets alone, the limit. Large batches are scored and drawn at once or in blocks of 8,192,",
        "as each contender is faster. FrEIA's release has no splines. Batched: per model, of 16. The last",
        "column is flowlab's time divided by the row's: below 1, flowlab is faster.",
        "",
    ]
    for kind, found in results.items():
        lines += [f"### {TOLD[kind]}", "", *_steps(found["work"]), *_throughput(found["work"])]
        if found["refused"]:
            lines += [*(f"- {what}: {why}" for what, why in found["refused"].items()), ""]
    return lines


def _steps(work: list[Mapping[str, Any]]) -> Iterator[str]:
    (rows,) = (each["contenders"] for each in work if each["work"] == "step")
    yield from table(
        ("", "ms per step", "flowlab ÷ this"),
        (
            (name, f"{row['milliseconds']:.2f}", "" if name == "flowlab" else f"{row['flowlab_takes']:.2f} ×")
            for name, row in rows.items()
        ),
    )
    yield ""


def _throughput(work: list[Mapping[str, Any]]) -> Iterator[str]:
    """Points a second."""
    found = [each for each in work if each["work"] != "step"]
    if not found:
        return
    names = dict.fromkeys(name for each in found for name in each["contenders"])
    head = tuple(f"{SAID[each['work']]} a second, {each['batch']:,} at once" for each in found)
    rows = ((name, *(_rate(each, name) for each in found)) for name in names)
    yield from table(("", *head), rows)
    yield ""


def _rate(work: Mapping[str, Any], name: str) -> str:
    row = work["contenders"].get(name)
    return "" if row is None else f"{1e3 * work['batch'] / row['milliseconds']:,.0f}"
