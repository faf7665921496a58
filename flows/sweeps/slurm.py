"""`hydra/launcher=slurm`: a job of the cluster for each."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, final

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flows.errors import UserError
from flows.signals import Stopped, status, stop_if_asked
from flows.sweeps.job import Failure
from flows.sweeps.outside import OutsideLauncher
from flows.sweeps.remote import RemoteJob, perform

_ROOT = Path(__file__).parents[2]
_LOOK = 0.5  # seconds between looks whether jobs are done
_ASK = 15.0  # seconds between questions to the cluster, whose controller answers everybody


@final
class Slurm(OutsideLauncher):
    """Hand all jobs to Slurm as an array, wait for them, and cancel them if nobody waits any more.

    No option takes a command: a file of options can be anyone's, and would run it.

    Args:
        partition, account, qos, constraint: As sbatch takes them; null for the cluster's defaults.
        minutes: Until Slurm ends a job.
        timeouts: How often a job that ran out of minutes is queued again, and carries on.
        cpus, gpus, memory_gb: Of one job; null for the cluster's defaults.
        array_parallelism: Most jobs at once.

    Raises: UserError where there is no Slurm, or if it doesn't take the jobs.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError("hydra/launcher=slurm: no sbatch and srun here; use hydra/launcher=processes")
        if not str(config.hydra.sweep.dir).isprintable():  # it stands in the script that sbatch runs
            raise UserError("run_dir: Slurm can't take a name with line breaks")

    def schema(self) -> type:
        from flows.sweeps.options import SlurmOptions

        return SlurmOptions

    def run(self, jobs: Sequence[RemoteJob]) -> Sequence[Failure | None]:
        import submitit
        from submitit.core.utils import FailedJobError

        folder = Path(str(self.config.hydra.sweep.dir)).absolute() / ".submitit"
        options = dict(self.options)
        timeouts = options.pop("timeouts", 0)
        executor = submitit.AutoExecutor(folder / "%j", cluster="slurm", slurm_max_num_timeout=timeouts)
        executor.update_parameters(**_parameters(options))
        try:
            with _importable(), redirect_stderr(StringIO()), executor.batch():  # it shows refusals too
                handed = [executor.submit(Obey(), job) for job in jobs]
        except FailedJobError as error:  # sbatch's refusal, with what it said
            raise UserError(f"hydra/launcher=slurm: {_refusal(str(error))}") from error
        try:
            queue = Queue()
            while not all(_returned(each) or queue.lost(each.job_id) for each in handed):
                stop_if_asked()
                time.sleep(_LOOK)
            return [_outcome(job, each, folder) for job, each in zip(jobs, handed, strict=True)]
        except BaseException:
            for each in handed:
                each.cancel(check=False)
            raise


class Queue:
    """Which jobs wait or run; Slurm is asked now and then.

    Its accounting would tell more, but not every cluster keeps it.
    """

    def __init__(self) -> None:
        self._asked = time.monotonic()
        self._before: set[str] | None = None  # the answer before that: a job's result may show up late
        self._now: set[str] | None = None

    def lost(self, name: str) -> bool:
        """Whether Slurm no longer had this job when last asked, nor the time before."""
        if time.monotonic() - self._asked > _ASK:
            self._asked = time.monotonic()
            self._before, self._now = self._now, _queued()
        return all(answer is not None and name not in answer for answer in (self._before, self._now))


class Obey:
    """Do a job of the cluster; called there by submitit, and once more whenever Slurm queues the job again.

    Slurm ends a job by SIGTERM. Before the minutes run out it sends SIGUSR2, as submitit asks it to.
    """

    def __call__(self, job: RemoteJob) -> Failure | None:
        """Raises: SystemExit once the run is saved, which submitit takes for a job without an end."""
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's handler, which would interrupt a step
        try:
            return perform(job, signal.SIGUSR2)
        except Stopped as stop:
            if stop.sign == signal.SIGUSR2 and callable(queue_again):
                queue_again(stop.sign, None)
            raise SystemExit(status(stop)) from None

    def checkpoint(self, job: RemoteJob) -> Any:
        """What submitit hands in again: the same, since the run itself knows how far it is."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """Our options by submitit's names, without those that are left to the cluster."""
    names = {
        "minutes": "timeout_min",
        "cpus": "cpus_per_task",
        "gpus": "gpus_per_node",
        "memory_gb": "mem_gb",
    }
    given = {key: value for key, value in options.items() if value is not None}
    return {"name": "flowlab"} | {names.get(key, f"slurm_{key}"): value for key, value in given.items()}


def _refusal(said: str) -> str:
    """What sbatch said, in one line.

    >>> _refusal("sbatch: error: invalid partition specified: shrot\\nsbatch: error: submission failed")
    'sbatch refused the jobs: invalid partition specified: shrot; submission failed'
    """
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in said.splitlines()]
    return f"sbatch refused the jobs: {'; '.join(filter(None, lines)) or 'it gave no reason'}"


@contextmanager
def _importable() -> Iterator[None]:
    """While the context is open, jobs are handed in with an environment that can import this project."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), before)))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _queued() -> set[str] | None:
    """The names of this user's jobs that wait or run; None if Slurm doesn't answer now."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return set(said.stdout.split()) if said.returncode == 0 else None


def _returned(handed: Any) -> bool:
    return handed.paths.result_pickle.exists()


def _outcome(job: RemoteJob, handed: Any, folder: Path) -> Failure | None:
    """What a job gave back; a failure if there is nothing, or what submitit says in its stead."""
    from submitit.core.utils import FailedJobError

    said = _last_words(handed.stderr() or "")
    if _returned(handed):
        try:
            return handed.result()
        except FailedJobError as error:
            said = _last_words(str(error))
    log = folder / str(handed.job_id)
    return job.lost(f"Slurm's job {handed.job_id} ended before it was done{said}; see {log}")


def _last_words(log: str) -> str:
    """Why a job was ended, as Slurm wrote into its log or submitit gave back; nothing if they didn't.

    >>> _last_words("step 9\\nslurmstepd-a: error: *** JOB 7 ON a CANCELLED DUE TO TIME LIMIT ***\\nbye")
    ' (JOB 7 ON a CANCELLED DUE TO TIME LIMIT)'
    """
    words = re.findall(r"^(?:slurmstepd\S* error|[\w.]+(?:Error|Exception)): (.+)$", log, re.MULTILINE)
    return f" ({words[-1].strip(' *.')})" if words else ""
