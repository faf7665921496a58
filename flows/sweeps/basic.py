"""Jobs one after another, which is what a sweep does unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

from flows.sweeps.apart import Died, apart
from flows.sweeps.job import Failure
from flows.sweeps.outside import OutsideLauncher
from flows.sweeps.remote import RemoteJob, perform


@final
class Basic(OutsideLauncher):
    """Each job in a child of this process, in the place of Hydra's launcher, whose jobs share it."""

    def schema(self) -> type:
        from flows.sweeps.options import NoOptions

        return NoOptions

    def run(self, jobs: Sequence[RemoteJob]) -> Sequence[Failure | None]:
        return [self._done(job) for job in jobs]

    def _done(self, job: RemoteJob) -> Failure | None:
        try:
            return apart(partial(perform, job, patient=False), self.task.needs)
        except Died as death:
            return job.lost(str(death))
