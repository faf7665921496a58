"""How an error speaks of types, values and names."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

MISSING = ("", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""What a cell of a table says that has no value."""

_PLAIN = {type(None): "null", bool: "bool (true or false)", Any: "anything"}
_BOUNDS = {
    "ge": ">=",
    "gt": ">",
    "le": "<=",
    "lt": "<",
    "min_length": "of length >=",
    "max_length": "of length <=",
}
_FEW = 24
_LONG = 200  # characters of a value that an error shows


def words(hint: Any) -> str:
    """What a type hint asks for.

    >>> words(Literal["tanh", "relu"] | None), words(tuple[float, ...])
    ('tanh or relu or null', 'a list of float')
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(words(args[0]), args[1:])
    if origin is Literal:
        return " or ".join(show(value).strip("'") for value in args)
    if origin in (Union, types.UnionType):
        typable = (words(arg) for arg in args if getattr(arg, "__name__", "") != "Tensor")
        return " or ".join(dict.fromkeys(typable))
    if origin is tuple and args[-1] is not Ellipsis:
        return "[" + ", ".join(words(arg) for arg in args) + "]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping of {words(args[0])} to {words(args[1])}"
    if origin is Callable:
        return f"a _target_ with _partial_: true that makes {words(args[-1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset):
        return f"a list of {words(args[0])}"
    return _PLAIN.get(hint) or getattr(hint, "__name__", str(hint))


def show(value: Any) -> str:
    """A value as one would type it, cut where it is long.

    >>> show([1.5, None, "relu"])
    "[1.5, null, 'relu']"
    """
    try:
        text = _shown(value)
    except (RecursionError, ValueError):  # of an integer of thousands of digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value)


def one_line(error: BaseException | str) -> str:
    """What an error says, on one line.

    >>> one_line(ValueError("two\\n   lines"))
    'two lines'
    """
    return " ".join(str(error).split())


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option that `name` most probably meant, or None.

    >>> nearest("realnpv", ["nsf", "realnvp"])
    'realnvp'
    """
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def choose(name: str, options: Iterable[str], what: str, prefix: str = "") -> str:
    """Name the nearest option and, where they are few, all of them.

    >>> choose("widht", ["depth", "width"], "keys", "model.")
    'did you mean model.width? keys: depth, width'
    """
    options = sorted(options)
    meant = nearest(name, options)
    ask = f"did you mean {prefix}{meant}? " if meant else ""
    listed = ", ".join(options) if options else "none"
    return (ask + (f"{what}: {listed}" if len(options) <= _FEW or not meant else "")).strip()


def _bounded(base: str, metadata: Iterable[Any]) -> str:
    bounds = []
    for constraint in _constraints(metadata):
        if getattr(constraint, "allow_inf_nan", None) is False:
            base = f"finite {base}"
        for name, sign in _BOUNDS.items():
            bound = getattr(constraint, name, None)
            if bound is not None:
                bounds.append(f"{sign} {bound}")
    return f"{base} {' and '.join(bounds)}".strip()


def _constraints(metadata: Iterable[Any]) -> Iterable[Any]:
    """Single constraints; pydantic's Field bundles several."""
    for item in metadata:
        yield from getattr(item, "metadata", None) or [item]
