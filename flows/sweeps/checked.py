"""What our launchers share: options checked as a signature's are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from flows.errors import UserError


class CheckedLauncher(Launcher, ABC):
    """A launcher whose options are checked.

    Args:
        options: As the configuration gives them; `schema`, a TypedDict, says which there are.

    Raises: UserError from `setup` if a key or a value isn't in the schema.
    """

    def __init__(self, **options: Any) -> None:
        self.options = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in options.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        from flows.config import check_keys

        try:
            check_keys(self.options, self.schema())
        except UserError as error:
            raise UserError(f"hydra.launcher.{error}") from None
        self.context, self.task, self.config = hydra_context, task_function, config

    @abstractmethod
    def schema(self) -> type:
        """The options and their types."""
