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
from flows.options import having
from flows.targets import Field, accepts, admits, fields, locate, makes, parameters, target
from flows.types import Seed
from flows.wording import choose, nearest, show, words

Config = Mapping[str, Any]


class Place(NamedTuple):
    """What may stand somewhere: a thing of a kind, from these rooms, given these arguments by the program."""

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
    call = _plan(config, where, trusted, tuple(given))
    return call.target(**_make(call.arguments), **given)


def check(config: Any, where: str = "model", *, trusted: Sequence[str] = ()) -> None:
    """Refuse what `build` would refuse; build nothing.

    Raises: UserError.
    """
    _plan(config, where, trusted, PLACES[where].given)


def check_all(config: Config, *, trusted: Sequence[str] = ()) -> None:
    """Check all of an experiment: keys, values, every node, and that the objective suits the model.

    Packages are trusted by argument and not by `config["trusted_packages"]`: a file can't vouch for itself.

    Raises: UserError.
    """
    check_keys(config, Experiment)
    calls = {where: _plan(config.get(where), where, trusted, place.given) for where, place in PLACES.items()}
    model = calls["model"].target
    for call in _calls(calls["trainer"]):
        needs = getattr(call.target, "needs", None)
        if isinstance(needs, type) and not admits(needs, model):
            raise UserError(
                f"{call.where}: {call.target.__name__} needs {_article(needs.__name__)}, "
                f"but model={model.__name__} makes {_article(words(makes(model)))}"
            )


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def check_keys(config: Config, schema: type) -> None:
    """Check the keys and values of a configuration's top level against a TypedDict.

    Raises: UserError.
    """
    hints = get_type_hints(schema, include_extras=True)
    for key, value in config.items():
        if key not in hints:
            raise UserError(f"{key}: no such key; {choose(str(key), hints, 'keys')}")
        _value(value, hints[key], key)


class _Call(NamedTuple):
    """A node once checked: something to call, and its validated arguments."""

    where: str
    target: Any
    arguments: dict[str, Any]
    partial: bool


def _make(value: Any) -> Any:
    """Replace every call, however deep, by what it makes."""
    if isinstance(value, _Call):
        bound = partial(value.target, **_make(value.arguments))
        return bound if value.partial else bound()
    if type(value) is dict:
        return {key: _make(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_make, value))
    return value


def _calls(value: Any) -> Iterator[_Call]:
    """Every call, outer ones first."""
    if isinstance(value, _Call):
        yield value
        value = value.arguments
    for item in value.values() if type(value) is dict else value if type(value) in (list, tuple) else ():
        yield from _calls(item)


def _plan(node: Any, where: str, trusted: Sequence[str], given: Sequence[str]) -> _Call:
    """Check the node that stands in one of the places."""
    place = PLACES[where]
    if not _is_node(node):
        chosen = "nothing chosen" if node in (None, MISSING) else "not something to build"
        raise UserError(f"{where}={show(node)}: {chosen}; give {where}=NAME")
    return _call(node, where, (*place.rooms, *trusted), locate(place.kind, where), trusted, given)


def _call(
    node: Any,
    where: str,
    rooms: Sequence[str],
    hint: Any,
    trusted: Sequence[str],
    given: Sequence[str] = (),
) -> _Call:
    """Check a node: its target, that `hint` takes what it makes, its keys, its values."""
    name, key = node["_target_"], f"{where}._target_"
    if name == MISSING:
        raise _missing(key, str)
    thing = target(name, rooms, key)
    later = _typed(node.get("_partial_", False), bool, f"{where}._partial_")
    if not admits(hint, thing, later):
        made = f"{thing.__name__} itself, for _partial_ is true" if later else words(makes(thing))
        raise UserError(f"{key}={name}: gives {made}; expected {words(hint)}")
    takes, open_ended = fields(thing)
    if later:
        given = _placed(hint, takes, f"{key}={name}")
    values = {k: value for k, value in node.items() if k not in ("_target_", "_partial_")}
    for k in values:
        if k in given:
            raise UserError(f"{where}.{k}: given by the program; leave it out")
        if k not in takes and (not open_ended or str(k).startswith("_")):
            free = [option for option in takes if option not in given]
            raise UserError(f"{where}.{k}: no such key; {_other_key(str(k), free, where, values)}")
    for k, field in takes.items():
        if field.required and k not in values and k not in given and (given or not later):
            raise _missing(f"{where}.{k}", field.annotation)
    for k in given if not later else ():
        if k not in takes and not open_ended:
            raise UserError(f"{key}={name}: has to take {k}, which the program gives it")
    arguments = {
        k: _value(value, takes[k].annotation if k in takes else Any, f"{where}.{k}", trusted)
        for k, value in values.items()
    }
    if name.startswith("torch.optim."):
        _try(thing, arguments, where)
    return _Call(where, thing, arguments, later)


def _other_key(key: str, options: Sequence[str], where: str, values: Mapping[str, Any]) -> str:
    """What else somebody may have meant by a key that isn't there: one that is, or the same, deeper."""
    deeper = next((k for k, value in values.items() if isinstance(value, Mapping) and key in value), None)
    if deeper is not None:
        return f"did you mean {where}.{deeper}.{key}?"
    others = having(where, key)
    others = f"{where}={', '.join(others)} {'has' if len(others) == 1 else 'have'} it; " if others else ""
    drop = "" if nearest(key, options) else f"; where a file gives it, ~{where}.{key} drops it"
    return f"{others}{choose(key, options, 'keys', f'{where}.')}{drop}"


def _placed(hint: Any, takes: Mapping[str, Field], said: str) -> tuple[str, ...]:
    """Names of what the program gives, by place, to something that it calls later."""
    wanted = parameters(hint)
    for (name, field), kind in zip(takes.items(), wanted, strict=False):
        if not accepts(field.annotation, kind):
            raise UserError(
                f"{said}: is given {words(kind)} as {name}, which is to be {words(field.annotation)}"
            )
    if len(takes) < len(wanted):
        raise UserError(f"{said}: has to take {' and '.join(map(words, wanted))}, which the program gives it")
    return (*takes,)[: len(wanted)]


def _try(optimizer: Any, arguments: Config, where: str) -> None:
    """Take one step in a vector: torch checks ranges, and what an optimizer can't do, only there."""
    from torch import nn, zeros

    from flows.optimizing import optimizer_of, stepper

    weights = nn.Parameter(zeros(1))
    weights.grad = zeros(1)
    try:
        stepper(optimizer_of(weights, partial(optimizer, **arguments)))()
    except (ValueError, RuntimeError, TypeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: {reason or 'torch refuses these settings together'}") from error


def _value(value: Any, hint: Any, where: str, trusted: Sequence[str] | None = None) -> Any:
    """Check one value. It may be a node, or hold some, unless `trusted` is None."""
    if value == MISSING:
        raise _missing(where, hint)
    if trusted is None or not _holds_node(value):
        return _typed(value, hint, where)
    if _is_node(value):
        return _call(value, where, (*PARTS, *trusted), hint, trusted)
    make, inner = _inside(hint, type(value))
    if make is None:
        raise UserError(f"{where}={show(value)}: expected {words(hint)}")
    pairs = value.items() if make is dict else enumerate(value)
    checked = {k: _value(item, inner, f"{where}.{k}", trusted) for k, item in pairs}
    return checked if make is dict else make(checked.values())


def _typed(value: Any, hint: Any, where: str) -> Any:
    """Check a plain value as strict JSON: a list serves as a tuple, 3 as a float; "3" and true are no int."""
    if hint is Any:
        return value
    try:
        return _adapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValueError, TypeError, RecursionError):  # pydantic's, and json's of what it can't write
        raise UserError(f"{where}={show(value)}: expected {words(hint)}") from None


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type that bears a configuration of its own
        return TypeAdapter(hint)


def _missing(where: str, hint: Any) -> UserError:
    return UserError(f"{where}: missing value; give {where}=VALUE ({words(hint)})")


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _holds_node(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return _is_node(value) or any(map(_holds_node, items))


def _inside(hint: Any, given: type) -> tuple[Callable[[Any], Any] | None, Any]:
    """What a list or dict of nodes becomes, and the hint of its items; (None, None) where it has no place."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _inside(args[0], given)
    if origin in (Union, types.UnionType):
        return next((found for arg in args if (found := _inside(arg, given))[0]), (None, None))
    if given is dict and isinstance(origin, type) and issubclass(origin, Mapping):
        return dict, args[1]
    if given is list and origin is tuple and args[1:] == (Ellipsis,):
        return tuple, args[0]
    if given is list and isinstance(origin, type) and issubclass(list, origin):
        return list, args[0]
    return None, None
