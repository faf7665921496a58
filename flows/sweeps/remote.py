"""One job in another process: composed there anew, as Hydra's own launcher does it here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

from hydra import version
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from flows.errors import UserError
from flows.signals import heeded
from flows.sweeps.job import Failure, announced, fail
from flows.training.folder import Folder
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

    def finished(self) -> bool:
        """Whether its run has come to the end that it was told, where no process is left that knows.

        To be done is not enough: it may have been so before, under a smaller budget.
        """
        from flows.sweeps.record import DONE

        config = self.compose()
        HydraConfig.instance().set_config(config)  # to which references lead
        folder = Folder(Path(config.hydra.sweep.dir, config.hydra.sweep.subdir))
        with open_dict(config):
            del config["hydra"]
        try:
            told: Any = OmegaConf.to_container(config, resolve=True)
            facts = folder.facts()
            return facts.get("status") in DONE and not folder.check(told, facts.get("data_hash", ""))
        except (UserError, OmegaConfBaseException):
            return False

    def told(self) -> str | None:
        """Why it failed, if its process had said so in its folder."""
        path = self._folder() / "error.txt"
        return path.read_text("utf-8").strip() if path.is_file() else None

    def _folder(self) -> Path:
        sweep = self.compose().hydra.sweep
        return Path(sweep.dir, sweep.subdir)

    def lost(self, reason: str) -> Failure:
        """Tell why the job failed, here and in its folder, since its process no longer can."""
        print(
            f"{Path(sys.argv[0]).name}: error: {announced(self.number, self.overrides)}: {reason}",
            file=sys.stderr,
        )
        return fail(self._folder(), reason)

    def returned(self, value: Failure | None) -> JobReturn:
        """What Hydra expects of a launcher."""
        done = JobReturn(overrides=self.overrides, status=JobStatus.COMPLETED)
        done.return_value = value
        return done


def perform(job: RemoteJob, *signs: Signals, patient: bool = True) -> Failure | None:
    """Do a job here; called in its process.

    Args:
        job: What to do.
        signs: What asks to stop, besides SIGINT and SIGTERM.
        patient: As `heeded` has it.

    Raises:
        BrokenPipeError if nobody reads what it prints.
        Stopped if it was asked to.
    """
    from flows.sweeps.plugins import known  # it imports the launchers, which import this

    sys.argv = [*job.argv]
    version.setbase(job.base)
    setup_globals()
    try:
        with heeded(*signs, patient=patient), known():
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
