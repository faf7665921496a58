"""How configurations of runs differ: in which keys, and how an error says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# dataset keys that hold paths; they may change, since the data's hash proves that it is the same data
FILE_KEYS = ("path", "image", "mask", "xs", "ys")
# dotted keys, or how they begin, whose value may change in a run that is carried on
FREE_KEYS = (
    *(f"dataset.{key}" for key in FILE_KEYS),
    *("run_dir", "logger.", "runtime.device", "runtime.compile", "runtime.capture", "trusted_packages"),
    *("trainer.keep", "trainer.checkpoint_every"),
)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one mapping with dotted keys.

    >>> flatten({"seed": 0, "model": {"layers": 2}})
    {'seed': 0, 'model.layers': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def is_free(key: str) -> bool:
    """Whether a run stays the same run whatever the value of this dotted key."""
    return key.startswith(FREE_KEYS)


def distinguishing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys in which flat configurations differ; where they build different things, their `_target_` alone.

    >>> one, other = {"seed": 0, "m._target_": "a", "m.b": 1}, {"seed": 1, "m._target_": "c", "m.d": 2}
    >>> distinguishing_keys([one, other])
    ['seed', 'm._target_']
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if any(_differ(key, group) for group in _comparable(key, configs))]


def shorten(key: str, value: Any) -> tuple[str, Any]:
    """A dotted key and its value as people say it: a target is the thing itself, by its last name.

    >>> shorten("model._target_", "flows.models.realnvp.realnvp"), shorten("seed", 3)
    (('model', 'realnvp'), ('seed', 3))
    """
    if key.endswith("._target_"):
        return key.removesuffix("._target_"), str(value).rpartition(".")[2]
    return key, value


def describe_difference(key: str, there: Any, here: Any) -> str:
    """How two configurations differ in a key, for an error.

    >>> describe_difference("seed", 0, 1)
    'seed is 0 there and 1 here'
    """
    (name, before), (_, now) = shorten(key, there), shorten(key, here)
    if before == now:  # two things of the same name, from different packages
        before, now = there, here
    return f"{name} is {before} there and {now} here"


def _comparable(key: str, configs: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Mapping[str, Any]]]:
    """Groups of configurations in each of which the key is an argument of the same thing."""
    parts = key.split(".")
    above = [".".join([*parts[:depth], "_target_"]) for depth in range(1, len(parts))]
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for config in configs:
        groups.setdefault(tuple(config.get(name) for name in above if name != key), []).append(config)
    return groups.values()


def _differ(key: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    return any(config.get(key) != configs[0].get(key) for config in configs)
