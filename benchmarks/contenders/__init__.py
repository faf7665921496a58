"""The same flows, ours and the peers': a module each, imported only in the process that measures it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender

EAGER = ("", "fused Adam", "compiled")


class Entry(NamedTuple):
    """A contender as it is listed.

    Args:
        module: Its file here, which has `build(architecture, mode)`.
        modes: The ways it is run in; "" is how its own documentation has it.
        kinds: The architectures it has parts for.
    """

    module: str
    modes: tuple[str, ...] = EAGER
    kinds: tuple[str, ...] = ("realnvp", "spline")


CONTENDERS = {
    "flowlab": Entry("flowlab", ("", "compiled", "batched", "batched, compiled")),
    "zuko": Entry("zuko"),
    "nflows": Entry("nflows"),
    "normflows": Entry("normflows"),
    "FrEIA": Entry("freia", kinds=("realnvp",)),  # its release has no splines
    "flowjax": Entry("flowjax", ("",)),  # jitted already
    "matrix products": Entry("products", ("", "batched")),
}


def listed(architecture: Architecture) -> list[tuple[str, str]]:
    """Names and modes of all that can build it."""
    found = {name: entry for name, entry in CONTENDERS.items() if architecture.kind in entry.kinds}
    return [(name, mode) for name, entry in found.items() for mode in entry.modes]


def build(name: str, architecture: Architecture, mode: str = "") -> Contender:
    """A contender, of as many parameters as everybody's.

    Raises: ValueError if it has not.
    """
    contender: Contender = module(name).build(architecture, mode)
    off = contender.parameters / architecture.parameters - 1
    if abs(off) > 0.08:  # flowjax's couplings all move the larger half
        raise ValueError(f"{name} has {off:+.1%} parameters")
    return contender


def module(name: str) -> Any:
    """A contender's own file."""
    return import_module(f"{__name__}.{CONTENDERS[name].module}")


def label(name: str, mode: str) -> str:
    """A contender in a mode, as tables have it."""
    return f"{name}, {mode}" if mode else name
