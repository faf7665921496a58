"""What Hydra may compose.

Hydra itself builds things that files name (callbacks, log handlers, whatever a sweeper is given), imports
the packages on its search path, and unpickles a job to run it again. We need none of it: none is let through.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, final

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from flows.errors import UserError

Check = Callable[[Any], None]
_EMPTY = {
    "callbacks": "Hydra would run what they name; leave them empty",
    "job_logging.root": "Hydra would run what its handlers name; only hydra/job_logging=none",
    "hydra_logging.root": "Hydra would run what its handlers name; only hydra/hydra_logging=none",
    "job.env_set": "other programs would heed it, git for one; set variables in the shell",
    "job.env_copy": "other programs would heed it, git for one; set variables in the shell",
    "job.chdir": "a run stays in the folder it was called in; leave it out",
    "output_subdir": "a run writes its own config.yaml; leave it out",
}
_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def check_flags(arguments: Namespace) -> None:
    """Refuse the flags that put something else in the place of our configuration.

    Raises: UserError if one of them is given.
    """
    if arguments.experimental_rerun is not None:
        raise UserError(
            "--experimental-rerun: would unpickle a file; give the same run_dir to carry on a run"
        )
    if arguments.config_path is not None or arguments.config_name is not None:
        raise UserError(
            "--config-path, --config-name: fixed here; --config-dir DIR adds a folder of your own"
        )


@final
class Loader(ConfigLoaderImpl):
    """Hydra's loader, through which every composition passes, those of a sweep's jobs too.

    Args:
        typed: Overrides as the user typed them.
        missing: Takes the folders that Hydra may make and that aren't there yet, outer ones first.
        check: Called with each configuration of a sweep before the first of them runs.
        config_search_path: Where to look for options.
    """

    def __init__(
        self, typed: Sequence[str], missing: list[Path], check: Check, config_search_path: ConfigSearchPath
    ) -> None:
        super().__init__(config_search_path)
        self.typed = tuple(typed)  # a copy: Hydra appends to its own
        self.missing = missing
        self.check = check

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        if any("hydra.searchpath" in override.partition("=")[0] for override in overrides):
            raise UserError("hydra.searchpath: fixed here; --config-dir DIR adds a folder of your own")
        try:
            config = super().load_configuration(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
        except (HydraException, OmegaConfBaseException, ValueError):
            raise
        except Exception as error:  # what Hydra didn't foresee, such as YAML that can't be read
            raise UserError(f"configuration: {type(error).__name__}: {error}") from error
        _check_hydra(config)
        _check_trusted(config, self.typed)
        if config.hydra.mode == RunMode.MULTIRUN and "run_dir" not in config:
            raise UserError("-m: no sweep here, its jobs would write over each other; call once for each")
        self.missing += _folders(config, run_mode)
        return config

    def _compose_config_from_defaults_list(self, *args: Any, **kwargs: Any) -> DictConfig:
        config = super()._compose_config_from_defaults_list(*args, **kwargs)
        _open(config)
        return config

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        if overrides:
            return super().get_group_options(group_name, results_filter, config_name, overrides)
        return self.repository.get_group_options(group_name, results_filter)  # --help asks for each group

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        config = super().load_sweep_config(master_config, sweep_overrides)
        job = copy(config)
        with open_dict(job):
            del job["hydra"]
        try:
            plain = OmegaConf.to_container(job, resolve=True)
        except InterpolationKeyError:
            raise
        except OmegaConfBaseException:  # what refers to the job's number can't be known yet
            return config
        self.check(plain)
        return config


def _open(node: Any) -> None:
    """Allow keys that a file leaves out, in every node whose target's signature will check them."""
    for key in node:
        inner = node._get_node(key)
        if key == "hydra" or not OmegaConf.is_dict(inner) or not isinstance(inner._value(), dict):
            continue  # empty, missing or a reference
        if "_target_" in inner:
            OmegaConf.set_struct(inner, False)
        else:
            _open(inner)


def _check_hydra(config: DictConfig) -> None:
    """Let Hydra build nothing but its launcher and its sweeper, which it takes from its plugins alone."""
    # as written: a reference could mean something else by the time it is used
    written: Any = OmegaConf.to_container(config, resolve=False)
    for key, why in _EMPTY.items():
        if _within(written["hydra"], key):
            raise UserError(f"hydra.{key}: {why}")
    for key in ("launcher", "sweeper"):
        plugin: Any = OmegaConf.to_container(config.hydra[key], resolve=True)
        target = plugin.get("_target_") if isinstance(plugin, dict) else None
        if target not in Plugins.instance().class_name_to_class:
            raise UserError(f"hydra.{key}._target_={target}: none of Hydra's plugins")
        if any(map(_names_target, plugin.values())):
            raise UserError(f"hydra.{key}: a _target_ inside it is not allowed")


def _within(written: Any, key: str) -> Any:
    """What stands at a dotted key, or what stands in its way."""
    for part in key.split("."):
        written = written.get(part) if isinstance(written, dict) else written
    return written


def _names_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_names_target, value.values()))
    return isinstance(value, list) and any(map(_names_target, value))


def _check_trusted(config: DictConfig, typed: Sequence[str]) -> None:
    """Let only what the user typed trust a package, and no file."""
    if "trusted_packages" not in config:
        return
    named: Any = []
    for override in OverridesParser.create().parse_overrides(list(typed)):
        if override.key_or_group == "trusted_packages":
            named = None if override.is_sweep_override() else override.value()
    if not isinstance(named, list) or not all(isinstance(n, str) and _PACKAGE.fullmatch(n) for n in named):
        raise UserError(
            "trusted_packages: expected a list of package names, as in trusted_packages=[mypackage]"
        )
    node = config._get_node("trusted_packages")
    found = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node
    if found != named:
        raise UserError(f"trusted_packages={found}: set by a file; only the command line may trust a package")


def _folders(config: DictConfig, run_mode: RunMode) -> list[Path]:
    key = "hydra.sweep.dir" if run_mode == RunMode.MULTIRUN else "hydra.run.dir"
    with suppress(OmegaConfBaseException, OSError):
        folder = Path(str(OmegaConf.select(config, key)))
        return [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    return []
