"""Which names a configuration may use, and what the things they name take and make.

A name is checked before anything is imported, and what it leads to must also have been defined in an
allowed place: whatever else a module has imported can't be reached through it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from flows.errors import UserError
from flows.wording import choose, show

_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)


class Argument(NamedTuple):
    """One argument of a target."""

    annotation: Any
    required: bool


def target(name: Any, rooms: Sequence[str], key: str) -> Any:
    """The class or function that `name` stands for.

    Args:
        name: Such as "flows.models.realnvp.realnvp".
        rooms: Packages it may come from.
        key: What the user knows the name by, for errors.

    Raises: UserError if the name lies in none of the rooms, leads out of them, or leads nowhere.

    >>> target("flows.nets.mlp.MLP", ("flows.nets",), "model.net._target_").__name__
    'MLP'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not _within(name, rooms):
        raise UserError(
            f"{key}={show(name)}: not allowed; only things in {', '.join(rooms)} are built here "
            "(your own package: trusted_packages=[NAME] on the command line, trusted=(NAME,) in Python)"
        )
    found = locate(name, key)
    if not _within(f"{found.__module__}.", rooms):
        raise UserError(f"{key}={name}: comes from {found.__module__}, which is not in {', '.join(rooms)}")
    if inspect.isabstract(found):
        raise UserError(f"{key}={name}: only an abstract class; name one of its kinds")
    return found


def locate(name: str, key: str) -> Any:
    """Import a module and take a class or function from it. The name must have been allowed.

    Raises: UserError if there is no such thing.
    """
    path, _, last = name.rpartition(".")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # the module is there, something that it needs is not
        raise UserError(f"{key}={name}: no module {path}{_beside(path)}") from None
    found = getattr(module, last, None)
    if not inspect.isclass(found) and not inspect.isfunction(found):
        things = inspect.getmembers(module, lambda v: inspect.isclass(v) or inspect.isfunction(v))
        own = [k for k, v in things if k[0] != "_" and _within(f"{v.__module__}.", [path])]
        raise UserError(f"{key}={name}: no such class or function; {choose(last, own, f'names in {path}')}")
    return found


def arguments_of(thing: Any) -> tuple[dict[str, Argument], bool]:
    """What a class or function takes by name, and whether it takes any name.

    >>> arguments_of(Argument)[0]["required"].required
    True
    """
    parameters = _signature(thing).parameters.values()
    named = {
        p.name: Argument(Any if p.annotation is p.empty else p.annotation, p.default is p.empty)
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def makes(thing: Any) -> Any:
    """What calling a class or function gives, as far as it says: a class, or something that isn't one."""
    if inspect.isclass(thing):
        return thing
    result = _signature(thing).return_annotation
    return result if _is_union(result) else get_origin(result) or result


def takes_result_of(hint: Any, thing: Any, partial: bool = False) -> bool:
    """Whether an argument so annotated takes what `thing` makes or, if partial, `thing` itself.

    >>> takes_result_of(Argument | None, Argument), takes_result_of(int, Argument)
    (True, False)
    >>> takes_result_of(Callable[..., Argument], Argument, partial=True)
    True
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return takes_result_of(args[0], thing, partial)
    if _is_union(hint):
        return any(takes_result_of(arg, thing, partial) for arg in args)
    if origin is Callable:  # never what the thing makes: a module can be called too, but with tensors
        return partial and (args[-1] is Any or takes_result_of(args[-1], thing))
    made, wanted = makes(thing), origin or hint
    if partial or not isinstance(made, type) or not isinstance(wanted, type):
        return False
    return _has_methods(made, wanted) if getattr(wanted, "_is_protocol", False) else issubclass(made, wanted)


def callable_arguments(hint: Any) -> Sequence[Any]:
    """What a callable so annotated is called with, by place; nothing where that isn't said.

    >>> callable_arguments(Callable[[int, str], Argument] | None), callable_arguments(Callable[..., Argument])
    ([<class 'int'>, <class 'str'>], ())
    """
    origin, args = get_origin(hint), get_args(hint)
    if _is_union(hint):
        return next((found for arg in args if (found := callable_arguments(arg))), ())
    return args[0] if origin is Callable and args[0] is not Ellipsis else ()


def takes_type(hint: Any, kind: Any) -> bool:
    """Whether an argument so annotated may be given something of this kind, as far as classes tell.

    >>> takes_type(Sequence[int], tuple[int, ...]), takes_type(int, tuple[int, ...])
    (True, False)
    """
    if get_origin(hint) is Annotated:
        return takes_type(get_args(hint)[0], kind)
    if _is_union(hint):
        return any(takes_type(arg, kind) for arg in get_args(hint))
    takes, made = get_origin(hint) or hint, get_origin(kind) or kind
    return takes is Any or not (isinstance(takes, type) and isinstance(made, type)) or issubclass(made, takes)


def _within(name: str, rooms: Sequence[str]) -> bool:
    return any(name.startswith(f"{room}.") for room in rooms)


def _beside(path: str) -> str:
    """Suggest modules that lie beside one that doesn't exist."""
    parent, _, last = path.rpartition(".")
    try:
        around = importlib.import_module(parent).__path__
    except (ImportError, AttributeError, ValueError):
        return ""
    return "; " + choose(last, [m.name for m in pkgutil.iter_modules(around)], "modules", f"{parent}.")


def _signature(thing: Any) -> inspect.Signature:
    try:
        return inspect.signature(thing, eval_str=True)
    except (NameError, AttributeError) as error:
        name = f"{thing.__module__}.{thing.__qualname__}"
        raise UserError(f"{name}: its annotations can't be read: {error}") from error


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _has_methods(made: type, protocol: type) -> bool:
    methods = [name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"]
    return all(callable(getattr(made, name, None)) for name in methods)
