"""BENCHMARKS.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.sections import (
    adversary,
    fields,
    memory,
    moons,
    points,
    products,
    race,
    scale,
    startup,
    steps,
)

SECTIONS = {
    "steps": steps.section,
    "memory": memory.section,
    "race": race.section,
    "moons": moons.section,
    "points": points.section,
    "fields": fields.section,
    "adversary": adversary.section,
    "products": products.section,
    "scale": scale.section,
    "startup": startup.section,
}
BESIDES = {"moons": ("moons_first",)}  # earlier measurements that a section also tells of
MEASURED_WITH = ("torch", "zuko", "nflows", "normflows", "FrEIA", "flowjax", "jax")


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from the results by name; what hasn't been measured is left out."""
    lines = [*_head(found["steps"]["conditions"])]
    for name, section in SECTIONS.items():
        if name in found:
            asked = (name, *BESIDES.get(name, ()))
            lines += section(*(found[each]["results"] for each in asked))
    return "\n".join(lines)


def _head(at: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {at[name]}" for name in MEASURED_WITH if name in at)
    busy = f" (load {at['load']:.1f} before)" if "load" in at else ""
    yield from ("# Benchmarks", "")
    yield (
        f"Measured by `make bench` on {at['date']}: {at['processor']}, {at['cores']} cores{busy}, "
        f"Python {at['python']}, {versions}."
    )
    yield from ("The numbers, with the conditions of each, are in `benchmarks/results/`.", "")
