"""hydra/launcher=batched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

from flows.sweeps.apart import Died, apart
from flows.sweeps.job import Failure
from flows.sweeps.outside import OutsideLauncher
from flows.sweeps.remote import RemoteJob


@final
class Batched(OutsideLauncher):
    """Hands all jobs of a sweep to the program at once, in a child, which trains together what can be.

    If the child dies, the jobs that it hadn't finished have failed.

    Args:
        size: Most runs in one batch.
    """

    def schema(self) -> type:
        from flows.sweeps.options import BatchedOptions

        return BatchedOptions

    def run(self, jobs: Sequence[RemoteJob]) -> Sequence[Failure | None]:
        configs = [job.compose() for job in jobs]
        run_all = partial(self.task.run_all, configs, self.options.get("size", 64))
        try:
            return apart(run_all, self.task.needs)
        except Died as death:
            return [None if job.finished() else job.lost(job.told() or str(death)) for job in jobs]
