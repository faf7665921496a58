"""Whether what a file says of examples can be so."""

from __future__ import annotations

import math
import re

from flows.core import Spec
from flows.errors import UserError

_TYPE = re.compile(r"(u?int|float)\d{1,3}|bool|str|category")


def check_spec(spec: Spec) -> None:
    """Refuse a spec that contradicts itself, before anything is made by it.

    Raises: UserError that names what is wrong.

    >>> check_spec(Spec(names=("a", "b"), shape=(2,), quantum=(None, 1.0)))
    """
    _check(_agree(spec.names, spec.shape), f"shape={list(spec.shape)} for {len(spec.names)} names")
    given = spec.context_shape or ()
    _check(
        not (given or spec.context_names) or _agree(spec.context_names, given),
        f"context_shape={list(given)} for {len(spec.context_names)} context_names",
    )
    for key in ("support", "quantum", "dtypes", "levels", "context_dtypes", "context_levels"):
        found, names = getattr(spec, key), spec.context_names if key.startswith("context") else spec.names
        _check(found is None or len(found) == len(names), f"{key} is not one for each name")
    said = [end for pair in spec.support or () for end in pair or () if end is not None]
    ends = [spec.ends(feature) for feature in range(len(spec.names))]
    _check(all(map(math.isfinite, said)) and all(low < high for low, high in ends), "support is no range")
    steps = [step for step in spec.quantum or () if step is not None]
    _check(all(0 < step < math.inf for step in steps), "quantum is no step")
    types = (*(spec.dtypes or ()), *(spec.context_dtypes or ()))
    _check(all(map(_TYPE.fullmatch, types)), "dtypes names a type that no column has")
    _check(all(levels is None or levels for levels in spec.levels or ()), "levels are none")
    pairs = ((spec.dtypes, spec.levels), (spec.context_dtypes, spec.context_levels))
    text = [
        levels is None or levels[place] is None
        for types, levels in pairs
        for place, kind in enumerate(types or ())
        if kind in ("str", "category")
    ]
    _check(not any(text), "dtypes names text, and levels no values of it")


def _agree(names: tuple[str, ...], shape: tuple[int, ...]) -> bool:
    return bool(shape) and shape[0] == len(names) and min(shape) > 0


def _check(right: object, said: str) -> None:
    if not right:
        raise UserError(f"spec: {said}, so it is damaged")
