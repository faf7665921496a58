"""Whether a checkpoint holds what a run would have saved: compared before any of it is taken.

A tensor of another shape or type would be taken silently, or be read beyond its end by a fused kernel.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from flows.wording import show

MANY = 2**53  # most that is counted
_BEST = ("score", "step", "misses")


def alike(found: Mapping[str, Tensor], like: Mapping[str, Tensor], spare: Collection[str] = ()) -> None:
    """See that tensors have the names, shapes and types of others.

    Args:
        found: Those of a checkpoint.
        like: Those that would have been saved.
        spare: Names that may be missing.

    Raises: ValueError that names the first that differs.

    >>> from torch import tensor, zeros
    >>> alike({"good": zeros(3)}, {"good": tensor(0)})
    Traceback (most recent call last):
    ValueError: good is float32 (3,) there and int64 () here
    """
    for name in {**like, **found}:
        there, here = _kind(found.get(name)), _kind(like.get(name))
        if there != here and not (name in spare and name not in found):
            raise ValueError(f"{show(name)[1:-1]} is {there} there and {here} here")


def within_range(name: str, value: object, least: int = 0, most: int = MANY) -> int:
    """See that a fact is a whole number of a range, ends included.

    Raises: ValueError that names it.

    >>> within_range("turn", -5)
    Traceback (most recent call last):
    ValueError: turn is -5, expected a whole number from 0 to 9007199254740992
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {show(value)}, expected a whole number from {least} to {most}")
    return value


def check_facts(facts: Mapping[str, Any], turns: int) -> None:
    """See that the plain facts of a run's checkpoint can be so.

    Args:
        facts: `turn`, `seen` (which older ones lack), `steps`, `best`, `counts`, `device`.
        turns: Of one step.

    Raises: ValueError that names what can't.
    """
    _check_keys("state.json", facts, ("turn", "seen", "steps", "best", "counts", "device"), spare="seen")
    turn = within_range("turn", facts["turn"])
    step = turn // turns
    within_range("seen", facts.get("seen", step), most=step)
    within_range("steps", facts["steps"])
    if type(facts["device"]) is not str:
        raise ValueError(f"device is {show(facts['device'])}, expected a name")
    best, counts = facts["best"], facts["counts"]
    _check_keys("best", best, _BEST)
    within_range("best.misses", best["misses"], most=step)
    score = best["score"]
    if within_range("best.step", best["step"], most=step) == 0:
        if score is not None:
            raise ValueError(f"best.score is {show(score)}, expected null before the first")
    elif type(score) not in (int, float) or not -math.inf < score < math.inf:
        raise ValueError(f"best.score is {show(score)}, expected a finite number")
    _check_keys("counts", counts, counts)
    for name, count in counts.items():
        within_range(f"counts.{show(name)[1:-1]}", count, least=1, most=turn)


def _check_keys(name: str, found: object, keys: Collection[str], spare: str = "") -> None:
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} is {show(found)}, expected a mapping")
    for key in {**dict.fromkeys(keys), **found}:
        if (key in keys) != (key in found) and key != spare:
            raise ValueError(f"{name}: {'lacks' if key in keys else 'has no key'} {show(key)}")


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
