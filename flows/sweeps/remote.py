"""One job in another process: composed there anew, as Hydra's own launcher does it here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from typing import NamedTuple

from hydra import version
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from flows.signals import heeded
from flows.sweeps.job import Failure, announced, fail
from flows.wording import one_line


class RemoteJob(NamedTuple):
    """All that another process has to know.

    Args:
        number: Its place in the sweep, and its folder's name.
        overrides: What tells it from others.
        config: The whole sweep's.
        context: Hydra's, with the loader.
        task: What to do with the job's configuration.
        argv: The command, which a run notes.
        base: The `version_base` of Hydra, whose behaviour is kept to.
    """

    number: int
    overrides: Sequence[str]
    config: DictConfig
    context: HydraContext
    task: TaskFunction
    argv: Sequence[str]
    base: str

    def compose(self) -> DictConfig:
        """The job's configuration."""
        config = self.context.config_loader.load_sweep_config(self.config, list(self.overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self.number
        return config

    def lost(self, reason: str) -> Failure:
        """Tell why the job failed, here and in its folder, since its process no longer can."""
        sweep = self.compose().hydra.sweep
        print(
            f"{Path(sys.argv[0]).name}: error: {announced(self.number, self.overrides)}: {reason}",
            file=sys.stderr,
        )
        return fail(Path(sweep.dir, sweep.subdir), reason)

    def returned(self, value: Failure | None) -> JobReturn:
        """What Hydra expects of a launcher."""
        done = JobReturn(overrides=self.overrides, status=JobStatus.COMPLETED)
        done.return_value = value
        return done


def perform(job: RemoteJob, *signs: Signals) -> Failure | None:
    """Do a job here; called in its process.

    Args:
        job: What to do.
        signs: What asks to stop, besides SIGINT and SIGTERM.

    Raises:
        BrokenPipeError if nobody reads what it prints.
        Stopped if it was asked to.
    """
    from flows.sweeps.plugins import known  # it imports the launchers, which import this

    sys.argv = [*job.argv]
    version.setbase(job.base)
    setup_globals()
    try:
        with heeded(*signs, patient=True), known():
            done = run_job(
                task_function=job.task,
                config=job.compose(),
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=job.context,
            )
        if done.status == JobStatus.FAILED:
            raise done._return_value
    except BrokenPipeError:
        raise
    except Exception as error:  # from before the task, which gives back its own
        traceback.print_exception(error)
        return Failure(f"{type(error).__name__}: {one_line(error)}")
    return done.return_value
