"""What our launchers share: options checked like a signature's, jobs handed out."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from hydra import version
from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from flows.errors import UserError
from flows.sweeps.elsewhere import Job
from flows.sweeps.job import Failure


class Elsewhere(Launcher, ABC):
    """A launcher whose jobs run in other processes.

    Args:
        options: As the configuration gives them; `schema`, a TypedDict, says which there are.
    """

    def __init__(self, **options: Any) -> None:
        self.options = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in options.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from flows.config import check_keys

        try:
            check_keys(self.options, self.schema())
        except UserError as error:
            raise UserError(f"hydra.launcher.{error}") from None
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        base = str(version.getbase())
        jobs = [
            Job(initial_job_idx + k, list(overrides), self.config, self.context, self.task, sys.argv, base)
            for k, overrides in enumerate(job_overrides)
        ]
        done = self.run(jobs)
        return [job.returned(value) for job, value in zip(jobs, done, strict=True)]

    @abstractmethod
    def schema(self) -> type:
        """The options and their types."""

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Sequence[Failure | None]:
        """Do all jobs; what is given back for each."""
