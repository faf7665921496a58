"""Signatures are checked at the calls of a test: each function once for each kind of arguments."""

from __future__ import annotations

from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn
from typeguard import ForwardRefPolicy, TypeCheckMemo, _functions, config, install_import_hook

PLAIN = {
    Tensor,
    nn.Parameter,
    torch.Generator,
    torch.Size,
    torch.device,
    torch.dtype,
    NoneType,
    bool,
    int,
    float,
}
"""Whose values are right or wrong by their class alone; those of other classes are checked at every call."""


def check_signatures() -> None:
    """From now on, and in what is imported from now on. Slower than all else, were it at every call."""
    config.forward_ref_policy = ForwardRefPolicy.IGNORE  # named tuples keep theirs as text
    arguments, returned = _functions.check_argument_types_internal, _functions.check_return_type_internal
    right: set[tuple[Any, ...]] = set()

    def check_arguments(name: str, given: dict[str, tuple[Any, Any]], memo: TypeCheckMemo) -> bool:
        known = (memo.globals.get("__name__"), name, *[_kind(value) for value, _ in given.values()])
        if known not in right:
            arguments(name, given, memo)
            if None not in known:
                right.add(known)
        return True

    def check_returned(name: str, value: Any, annotation: Any, memo: TypeCheckMemo) -> Any:
        known = (memo.globals.get("__name__"), name, "returns", _kind(value))
        if known not in right:
            value = returned(name, value, annotation, memo)
            if None not in known:
                right.add(known)
        return value

    vars(_functions).update(
        check_argument_types_internal=check_arguments, check_return_type_internal=check_returned
    )
    install_import_hook(["flows", "data"])


def _kind(value: Any) -> object:
    """What tells a value from one that might not be right where it is; None if only its content does."""
    kind = type(value)
    if kind in PLAIN or issubclass(kind, nn.Module):
        return kind
    if kind is tuple:
        kinds = tuple(_kind(each) for each in value)
        return None if None in kinds else kinds
    return None
