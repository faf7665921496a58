"""What launchers share whose jobs run in other processes."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence

from hydra import version
from hydra.core.utils import JobReturn, setup_globals

from flows.sweeps.checked import CheckedLauncher
from flows.sweeps.job import Failure
from flows.sweeps.remote import RemoteJob


class OutsideLauncher(CheckedLauncher, ABC):
    """A launcher whose jobs run in other processes."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        base = str(version.getbase())
        jobs = [
            RemoteJob(
                initial_job_idx + k, list(overrides), self.config, self.context, self.task, sys.argv, base
            )
            for k, overrides in enumerate(job_overrides)
        ]
        done = self.run(jobs)
        return [job.returned(value) for job, value in zip(jobs, done, strict=True)]

    @abstractmethod
    def run(self, jobs: Sequence[RemoteJob]) -> Sequence[Failure | None]:
        """Do all jobs; what is given back for each."""
