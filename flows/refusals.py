"""Say in one line why a command was refused."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationResolutionError

from flows.errors import UserError, lacks_memory
from flows.files import Unwritable
from flows.wording import choose, nearest, one_line


def explain(error: BaseException) -> str:
    """One line: what is wrong, where, and what would be right. What would steer a terminal is escaped."""
    lines = (line for line in _explain(error).splitlines() if not _DETAIL.match(line))
    text = one_line(" ".join(lines))
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _explain(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    if lacks_memory(error):
        return "not enough memory for this; ask for fewer examples, smaller batches or a smaller model"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={option}: no such option; {choose(option, error.options, 'options', f'{group}=')}"
    if isinstance(error, OverrideParseException):
        key, sign, value = error.override.partition("=")
        if sign and not {*value} & {*"'\"[]{}"}:
            quoted = shlex.quote(f'{key}="{value}"')
            return f"{error.override}: can't be read; if that is all meant, quote it: {quoted}"
        return f"{error.override}: can't be read; give KEY=VALUE, with quotes round what isn't plain"
    if isinstance(error, Unwritable):
        return f"{error.filename}: can't be written: {error.strerror}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"run_dir: can't make {error.filename}: {error.strerror}"
    for cause in _causes(error):
        if isinstance(cause, InterpolationResolutionError):
            return f"{cause.full_key}: {_first_line(cause)}"
        if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(
            cause.parent_node, DictConfig
        ):
            return _unknown(str(cause.full_key or cause.key), cause.parent_node)
    message = str(error) or next((str(cause) for cause in _causes(error) if str(cause)), type(error).__name__)
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'", message):
        key, _, values = found[1].partition("=")
        return f"{found[1]}: several values need -m, a sweep; a list needs brackets, {key}=[{values}]"
    if found := re.match(r"Could not override '(.*?)'", message):
        return f"{found[1]}: no such group here"
    if found := re.match(r"Config group override must be .* Got (\w+)", message):
        return f"a group takes the name of an option, as in model=realnvp; got {found[1]}"
    if found := re.match(r"Additional config directory '(.*)' not found", message):
        return f"--config-dir {found[1]}: no such folder"
    if message.startswith("Error merging override") and error.__cause__ is not None:
        message = f"{message}: {error.__cause__}"
    return message


_DETAIL = re.compile(
    r"\s*(full_key:|object_type=|reference_type=|To append|Either remove|Or add|See http|Config search)"
)


def _unknown(key: str, node: DictConfig) -> str:
    """An unknown key, the nearest of its neighbours, or a key of that name elsewhere."""
    path, _, last = key.rpartition(".")
    prefix = f"{path}." if path else ""
    options = [str(option) for option in node if option not in ("hydra", "_target_", "_partial_")]
    if not path and nearest(last, options) is None:
        elsewhere = [found for found in _keys(node) if found.rpartition(".")[2] == last]
        if elsewhere:
            return f"{key}: no such key; did you mean {' or '.join(elsewhere)}?"
    return f"{key}: no such key; {choose(last, options, 'keys', prefix)}"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for key in node:
        yield f"{prefix}{key}"
        inner = node._get_node(key)
        if key != "hydra" and OmegaConf.is_dict(inner) and not OmegaConf.is_missing(node, key) and inner:
            yield from _keys(inner, f"{prefix}{key}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
