"""`hydra/launcher=processes`: jobs beside each other on this machine."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from flows.signals import Stopped, stop_if_asked
from flows.sweeps.job import Failure
from flows.sweeps.outside import OutsideLauncher
from flows.sweeps.remote import RemoteJob, perform

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

_DIED = "its process died, perhaps for want of memory (hydra.launcher.n_jobs=1 needs least)"
_TOLD = "its process was told to stop; the same command carries on"
_CAPS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_LOOK, _STOP = 0.2, 20.0  # seconds between looks whether to stop; seconds that jobs have to save and end


@final
class Processes(OutsideLauncher):
    """Jobs in worker processes, each of which does one after another, so that it imports torch only once.

    A process that dies fails its job alone, and another takes its place. Each may use as many threads as it
    has cores to itself.

    Args:
        n_jobs: How many at once; by default one for each core, or for each `runtime.threads` of them.
    """

    def schema(self) -> type:
        from flows.sweeps.options import ProcessesOptions

        return ProcessesOptions

    def run(self, jobs: Sequence[RemoteJob]) -> Sequence[Failure | None]:
        from joblib import cpu_count

        cores = cpu_count()
        threads = self.config.get("runtime", {}).get("threads") or 1
        asked: Any = self.options.get("n_jobs")
        count = min(asked or max(1, cores // threads), len(jobs))
        team = _Team(count, max(1, cores // count))
        try:
            results = team.do(jobs)
        except BaseException:
            try:
                team.interrupt()
            finally:  # at a second Ctrl-C too
                team.dismiss(now=True)
            raise
        team.dismiss()
        return results


class _Team:
    """Some processes, and which job each of them does.

    Args:
        count: How many.
        threads: That each may use, where the environment doesn't say.
    """

    def __init__(self, count: int, threads: int) -> None:
        self.environment = {name: os.environ.get(name, str(threads)) for name in _CAPS}
        self.environment["TQDM_DISABLE"] = "1"  # bars of several would overwrite each other
        self.workers = [self._worker() for _ in range(count)]
        self.busy: dict[Future[Any], tuple[int, int]] = {}  # job and worker, by the result to come

    def do(self, jobs: Sequence[RemoteJob]) -> list[Failure | None]:
        """Give each worker the next job when it has done one."""
        from concurrent.futures.process import BrokenProcessPool  # here, for --help shouldn't wait for it

        waiting, idle = deque(range(len(jobs))), deque(range(len(self.workers)))
        results: dict[int, Failure | None] = {}
        while waiting or self.busy:
            while waiting and idle:
                job, worker = waiting.popleft(), idle.popleft()
                self.busy[self.workers[worker].submit(perform, jobs[job])] = job, worker
            stop_if_asked()
            for future in wait(self.busy, timeout=_LOOK, return_when=FIRST_COMPLETED).done:
                job, worker = self.busy.pop(future)
                try:
                    results[job] = future.result()
                except BrokenProcessPool:
                    results[job] = jobs[job].lost(_DIED)
                    self.workers[worker] = self._worker()
                except Stopped:
                    stop_if_asked()  # ends the whole sweep, if the signal reached us too
                    results[job] = jobs[job].lost(_TOLD)
                idle.append(worker)
        return [results[job] for job in range(len(jobs))]

    def interrupt(self) -> None:
        """Ask the jobs to save and end, as Ctrl-C does.

        A job that has already had the terminal's SIGINT ignores this second one.
        """
        self._send(signal.SIGINT)
        wait(self.busy, timeout=_STOP)
        self._send(signal.SIGKILL)  # to those that haven't ended

    def _send(self, sign: signal.Signals) -> None:
        """Signal the processes whose jobs aren't done."""
        for future, (_, worker) in self.busy.items():
            if not future.done():
                for process in list(self.workers[worker]._processes):
                    with suppress(ProcessLookupError):
                        os.kill(process, sign)

    def dismiss(self, now: bool = False) -> None:
        """End all processes, at once or when they have done what they do."""
        for worker in self.workers:
            worker.shutdown(wait=not now, kill_workers=now)

    def _worker(self) -> ProcessPoolExecutor:
        """A process, started by its first job."""
        from joblib.externals.loky import ProcessPoolExecutor

        return ProcessPoolExecutor(max_workers=1, env=self.environment)
