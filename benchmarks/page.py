"""BENCHMARKS.md, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections import (
    adversary,
    fields,
    gpu,
    memory,
    moons,
    points,
    products,
    race,
    scale,
    startup,
    steps,
    sweep,
)

SECTIONS = {
    "steps": steps.section,
    "gpu": gpu.section,
    "memory": memory.section,
    "race": race.section,
    "moons": moons.section,
    "points": points.section,
    "fields": fields.section,
    "adversary": adversary.section,
    "products": products.section,
    "scale": scale.section,
    "sweep": sweep.section,
    "startup": startup.section,
}
BESIDES = {"moons": ("moons_first",)}  # earlier measurements that a section also tells of
MEASURED_WITH = ("torch", "zuko", "nflows", "normflows", "FrEIA", "flowjax", "jax")


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from the results by name; what hasn't been measured is left out."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures all this; the numbers are in `benchmarks/results/`.",
        "",
    ]
    for name, section in SECTIONS.items():
        asked = (name, *BESIDES.get(name, ()))
        if all(each in found for each in asked):
            title, *rest = section(*(found[each]["results"] for each in asked))
            lines += [title, "", _conditions(found[name]["conditions"]), *rest]
    return "\n".join(lines)


def _conditions(at: Mapping[str, Any]) -> str:
    """When, on what and with what a section was measured, in a line."""
    commit = str(at.get("commit") or "")
    code = f"commit {commit[:7]}{' and changes' * ('+' in commit)}" if commit[:7].isalnum() else ""
    load = f"load {at['load']:.1f} before" if "load" in at else ""
    versions = ", ".join(f"{name} {at[name]}" for name in MEASURED_WITH if name in at)
    machine = f"{at['processor']}, {at['cores']} cores" if "processor" in at else f"{at['cores']} cores"
    parts = (at["date"], code, machine, load, f"Python {at['python']}", versions)
    return f"Measured on {'; '.join(filter(None, parts))}."
