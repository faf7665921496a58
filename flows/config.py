"""Turn configuration into objects, the only place that does.

Signatures are the schema: every key and every value is checked against the signature of the target
before anything is built.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, TypedDict, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from flows.errors import UserError
from flows.targets import (
    Argument,
    arguments_of,
    callable_arguments,
    locate,
    makes,
    takes_result_of,
    takes_type,
    target,
)
from flows.types import Seed
from flows.wording import choose, nearest, one_line, show, words

Config = Mapping[str, Any]


class Place(NamedTuple):
    """What one place of a configuration may hold.

    Args:
        rooms: Packages that it may come from.
        kind: What it has to be.
        given: Arguments that the program supplies.
    """

    rooms: tuple[str, ...]
    kind: str
    given: tuple[str, ...] = ()


PLACES = {
    "dataset": Place(("data",), "flows.core.Dataset"),
    "model": Place(("flows.models",), "flows.core.Sampler", ("spec",)),
    "trainer": Place(("flows.training",), "flows.training.trainer.Trainer"),
    "runtime": Place(("flows.training",), "flows.training.runtime.Runtime"),
    "logger": Place(("flows.training",), "flows.training.monitor.Logger"),
}
PARTS = (
    *("flows.bases", "flows.models", "flows.nets", "flows.objectives", "flows.training", "flows.transforms"),
    *("data", "torch.optim"),
)
MISSING = "???"


class Experiment(TypedDict, total=False):
    """All that train.py is told."""

    dataset: Any
    model: Any
    trainer: Any
    runtime: Any
    logger: Any
    seed: Seed
    run_dir: str
    init_from: str | None
    trusted_packages: list[str]


def build(config: Any, where: str = "model", *, trusted: Sequence[str] = (), **given: Any) -> Any:
    """Check a node, then make what it describes, inner things first.

    Args:
        config: Plain dicts, lists and scalars, with a `_target_`.
        where: Its place: dataset, model, trainer, runtime or logger. Errors bear this name.
        trusted: The user's own packages, from the command line and never from a file.
        given: What the program and no configuration gives, such as spec.

    Raises: UserError if a target isn't allowed there, or a key or a value doesn't fit its signature.

    >>> from flows.core import Spec
    >>> node = {"_target_": "flows.models.realnvp.realnvp", "layers": 2, "width": 4}
    >>> build(node, "model", spec=Spec(("a", "b"), (2,))).sample(3).shape
    torch.Size([3, 2])
    """
    checked = _check_place(config, where, trusted, tuple(given))
    return checked.target(**_build(checked.arguments), **given)


def check(config: Any, where: str = "model", *, trusted: Sequence[str] = ()) -> None:
    """Refuse what `build` would refuse; build nothing.

    Raises: UserError, as `build` does.
    """
    _check_place(config, where, trusted, PLACES[where].given)


def check_all(config: Config, *, trusted: Sequence[str] = ()) -> None:
    """Check all of an experiment: keys, values, every node, and that the objective suits the model.

    Packages are trusted by argument and not by `config["trusted_packages"]`: a file can't vouch for itself.

    Raises: UserError if anything in it is wrong, or the objective can't train the model.
    """
    check_keys(config, Experiment)
    checked = {
        where: _check_place(config.get(where), where, trusted, place.given) for where, place in PLACES.items()
    }
    model = checked["model"].target
    for node in _walk(checked["trainer"]):
        needs = getattr(node.target, "needs", None)
        if isinstance(needs, type) and not takes_result_of(needs, model):
            raise UserError(
                f"{node.where}: {node.target.__name__} needs {_with_article(needs.__name__)}, "
                f"but model={model.__name__} makes {_with_article(words(makes(model)))}"
            )


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def check_keys(config: Config, schema: type) -> None:
    """Check the keys and values of a configuration's top level against a TypedDict.

    Raises: UserError if a key isn't in it, or a value doesn't fit its type.
    """
    hints = get_type_hints(schema, include_extras=True)
    for key, value in config.items():
        if key not in hints:
            raise UserError(f"{key}: no such key; {choose(str(key), hints, 'keys')}")
        _check_value(value, hints[key], key)


class _CheckedNode(NamedTuple):
    """A node after checking: what to call, and the arguments, in which inner nodes are checked too."""

    where: str
    target: Any
    arguments: dict[str, Any]
    partial: bool


def _build(value: Any) -> Any:
    """Replace every checked node, however deep, by what it describes."""
    if isinstance(value, _CheckedNode):
        bound = partial(value.target, **_build(value.arguments))
        return bound if value.partial else bound()
    if type(value) is dict:
        return {key: _build(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_build, value))
    return value


def _walk(value: Any) -> Iterator[_CheckedNode]:
    """Every checked node in a value, outer ones first."""
    if isinstance(value, _CheckedNode):
        yield value
        value = value.arguments
    for item in value.values() if type(value) is dict else value if type(value) in (list, tuple) else ():
        yield from _walk(item)


def _check_place(node: Any, where: str, trusted: Sequence[str], given: Sequence[str]) -> _CheckedNode:
    """Check the node that stands in one of the places."""
    place = PLACES[where]
    if not _is_node(node):
        chosen = "nothing chosen" if node in (None, MISSING) else "not something to build"
        raise UserError(f"{where}={show(node)}: {chosen}; give {where}=NAME")
    return _check_node(node, where, (*place.rooms, *trusted), locate(place.kind, where), trusted, given)


def _check_node(
    node: Any,
    where: str,
    rooms: Sequence[str],
    hint: Any,
    trusted: Sequence[str],
    given: Sequence[str] = (),
) -> _CheckedNode:
    """Check a node: its target, that `hint` takes what it makes, its keys, its values."""
    name, key = node["_target_"], f"{where}._target_"
    if name == MISSING:
        raise _missing(key, str)
    thing = target(name, rooms, key)
    later = _check_plain(node.get("_partial_", False), bool, f"{where}._partial_")
    if not takes_result_of(hint, thing, later):
        made = f"{thing.__name__} itself, for _partial_ is true" if later else words(makes(thing))
        raise UserError(f"{key}={name}: gives {made}; expected {words(hint)}")
    takes, open_ended = arguments_of(thing)
    if later:
        given = _positional_names(hint, takes, f"{key}={name}")
    values = {k: value for k, value in node.items() if k not in ("_target_", "_partial_")}
    for k in values:
        if k in given:
            raise UserError(f"{where}.{k}: given by the program; leave it out")
        if k not in takes and (not open_ended or str(k).startswith("_")):
            free = [option for option in takes if option not in given]
            raise UserError(f"{where}.{k}: no such key; {_other_key(str(k), free, where, values)}")
    for k, argument in takes.items():
        if argument.required and k not in values and k not in given and (given or not later):
            raise _missing(f"{where}.{k}", argument.annotation)
    for k in given if not later else ():
        if k not in takes and not open_ended:
            raise UserError(f"{key}={name}: has to take {k}, which the program gives it")
    arguments = {
        k: _check_value(value, takes[k].annotation if k in takes else Any, f"{where}.{k}", trusted)
        for k, value in values.items()
    }
    if name.startswith("torch.optim."):
        _check_optimizer(thing, arguments, where)
    return _CheckedNode(where, thing, arguments, later)


def _other_key(key: str, options: Sequence[str], where: str, values: Mapping[str, Any]) -> str:
    """A suggestion for a key that doesn't exist: the nearest that does, or the same key one node deeper."""
    deeper = next((k for k, value in values.items() if isinstance(value, Mapping) and key in value), None)
    if deeper is not None:
        return f"did you mean {where}.{deeper}.{key}?"
    drop = "" if nearest(key, options) else f"; where a file gives it, ~{where}.{key} drops it"
    return f"{choose(key, options, 'keys', f'{where}.')}{drop}"


def _positional_names(hint: Any, takes: Mapping[str, Argument], said: str) -> tuple[str, ...]:
    """Names of the arguments that the program gives, by place, when it calls a partial target."""
    wanted = callable_arguments(hint)
    for (name, argument), kind in zip(takes.items(), wanted, strict=False):
        if not takes_type(argument.annotation, kind):
            raise UserError(
                f"{said}: is given {words(kind)} as {name}, which is to be {words(argument.annotation)}"
            )
    if len(takes) < len(wanted):
        raise UserError(f"{said}: has to take {' and '.join(map(words, wanted))}, which the program gives it")
    return tuple(takes)[: len(wanted)]


def _check_optimizer(optimizer: Any, arguments: Config, where: str) -> None:
    """Take one step with a single weight: torch checks some of the settings only then."""
    from torch import nn, zeros

    from flows.optimizing import optimizer_of, stepper

    weights = nn.Parameter(zeros(1))
    weights.grad = zeros(1)
    try:
        stepper(optimizer_of(weights, partial(optimizer, **arguments)))()
    except (ValueError, RuntimeError, TypeError, AssertionError) as error:
        reason = one_line(error)
        raise UserError(f"{where}: {reason or 'torch refuses these settings together'}") from error


def _check_value(value: Any, hint: Any, where: str, trusted: Sequence[str] | None = None) -> Any:
    """Check one value. It may be a node, or hold some, unless `trusted` is None."""
    if value == MISSING:
        raise _missing(where, hint)
    if trusted is None or not _holds_node(value):
        return _check_plain(value, hint, where)
    if _is_node(value):
        return _check_node(value, where, (*PARTS, *trusted), hint, trusted)
    make, inner = _container_and_item_hint(hint, type(value))
    if make is None:
        raise UserError(f"{where}={show(value)}: expected {words(hint)}")
    pairs = value.items() if make is dict else enumerate(value)
    checked = {k: _check_value(item, inner, f"{where}.{k}", trusted) for k, item in pairs}
    return checked if make is dict else make(checked.values())


def _check_plain(value: Any, hint: Any, where: str) -> Any:
    """Check a plain value as strict JSON: a list serves as a tuple, 3 as a float; "3" and true are no int."""
    if hint is Any:
        return value
    try:
        return _adapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValueError, TypeError, RecursionError):  # pydantic's, or json's of a value that it can't write
        raise UserError(f"{where}={show(value)}: expected {words(hint)}") from None


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # the type has a configuration of its own
        return TypeAdapter(hint)


def _missing(where: str, hint: Any) -> UserError:
    return UserError(f"{where}: missing value; give {where}=VALUE ({words(hint)})")


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _holds_node(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return _is_node(value) or any(map(_holds_node, items))


def _container_and_item_hint(hint: Any, given: type) -> tuple[Callable[[Any], Any] | None, Any]:
    """What a list or dict of nodes becomes, and the hint of its items; (None, None) where it has no place."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _container_and_item_hint(args[0], given)
    if origin in (Union, types.UnionType):
        return next(
            (found for arg in args if (found := _container_and_item_hint(arg, given))[0]), (None, None)
        )
    if given is dict and isinstance(origin, type) and issubclass(origin, Mapping):
        return dict, args[1]
    if given is list and origin is tuple and args[1:] == (Ellipsis,):
        return tuple, args[0]
    if given is list and isinstance(origin, type) and issubclass(list, origin):
        return list, args[0]
    return None, None
