"""hydra/launcher=batched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf import open_dict

from flows.sweeps.checked import CheckedLauncher


@final
class Batched(CheckedLauncher):
    """Hands all jobs of a sweep to the program at once, which trains together what can be.

    Args:
        size: Most runs in one batch.
    """

    def schema(self) -> type:
        from flows.sweeps.options import BatchedOptions

        return BatchedOptions

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            job = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(job):
                job.hydra.job.id = job.hydra.job.num = number
            jobs.append(job)
        return [
            JobReturn(overrides=list(overrides), _return_value=value, status=JobStatus.COMPLETED)
            for overrides, value in zip(
                job_overrides, self.task.run_all(jobs, self.options.get("size", 64)), strict=True
            )
        ]
