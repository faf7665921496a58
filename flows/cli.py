"""The command line: Hydra composes, errors are one line, and no file makes code run.

Imported before anything heavy, so that --help and tab completion answer at once.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import traceback
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, final

import hydra
from hydra._internal import hydra as internals
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from flows.composition import Loader, check_flags
from flows.errors import UserError, lacks_memory
from flows.files import Unwritable
from flows.options import CONF
from flows.refusals import explain
from flows.signals import Stopped, heeded, status, stop_if_asked
from flows.sweeps.job import Failure, announced, begin, fail
from flows.sweeps.plugins import known
from flows.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

Task = Callable[[dict[str, Any]], None]
TrainMany = Callable[[list[dict[str, Any]], int], Sequence[Exception | None]]


def stamp() -> str:
    """A name for a run, unlike any other's: the time, and 32 random bits."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.urandom(4).hex()}"


OmegaConf.register_new_resolver("stamp", stamp, use_cache=True, replace=True)


def entry(
    config_name: str,
    check: Task | None = None,
    conf: Path = CONF,
    train_many: TrainMany | None = None,
    needs: Sequence[str] = (),
) -> Callable[[Task], Callable[..., None]]:
    """Make a program of a function of a configuration: plain dicts and lists, all references resolved.

    What the user got wrong is one line on stderr and status 2, whether Hydra finds it or the function
    raises UserError. Any other exception is a bug: a traceback and status 1. In a sweep `run_dir` is the
    folder of the one run; a run that fails in either way says so there and on stderr, the others go on, and
    the status is 1. HYDRA_FULL_ERROR=1 shows all tracebacks.

    SIGINT and SIGTERM ask the task to stop, which looks by `flows.signals.stop_if_asked`; the status is then
    130 or 143.

    Args:
        config_name: Primary configuration, a file in `conf`.
        check: Called first, to raise UserError; in a sweep with each configuration before any of them runs.
        conf: Folder of all configuration.
        train_many: Does the task for several configurations at once, given the most to train in one batch,
            and says for each what went wrong, or None; for `hydra/launcher=batched`.
        needs: Modules that any task imports, and a sweep once for all its jobs.
    """

    def decorate(task: Task) -> Callable[..., None]:
        @functools.wraps(task)
        def main() -> None:
            _Program(task, check or (lambda _: None), config_name, conf, train_many, needs).run()

        return main

    return decorate


@final
class _Program:
    """One call of a program."""

    def __init__(
        self,
        task: Task,
        check: Task,
        config_name: str,
        conf: Path,
        train_many: TrainMany | None,
        needs: Sequence[str],
    ) -> None:
        self.task = task
        self.check = check
        self.config_name = config_name
        self.conf = conf
        self.train_many = train_many
        self.needs = needs
        self.full_errors = os.environ.get("HYDRA_FULL_ERROR") == "1"
        self.missing: list[Path] = []  # folders that didn't exist when the command began
        self.bugs: list[Exception] = []

    def run(self) -> None:
        @functools.wraps(self.task)
        def job(config: DictConfig) -> Failure | None:
            return self.swept(config) if _in_sweep() else self.alone(config)

        # otherwise torch looks for GPUs in a way that leaves a sweep's jobs, which are forks, none
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
        # Hydra hands a launcher this function and nothing else of ours
        vars(job).update(run_all=self.run_all, needs=self.needs)
        try:
            arguments = _arguments()
            check_flags(arguments)
            program = hydra.main(version_base="1.3", config_path=str(self.conf), config_name=self.config_name)
            with (
                heeded(),
                _silent_threads(),
                known(),
                _hydra(functools.partial(Loader, arguments.overrides, self.missing, self.check)),
            ):
                try:
                    program(job)()
                finally:
                    sys.stdout.flush()  # so that a broken pipe is met here and not at exit
        except BrokenPipeError:  # the reader of our output has left, as head does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None
        except (HydraException, OmegaConfBaseException, OSError, ValueError) as error:
            if error in self.bugs:
                raise
            self.refuse(error)
        except KeyboardInterrupt as stop:
            self.prune()
            asked = isinstance(stop, Stopped) and stop.sign == Signals.SIGTERM
            print(f"{_name()}: {'terminated' if asked else 'interrupted'}", file=sys.stderr)
            raise SystemExit(status(stop)) from None

    def alone(self, config: DictConfig) -> None:
        """The task as the only job."""
        try:
            self.perform(self.plain(config))
        except Exception as error:
            if _told_to_users(error):
                self.refuse(error)  # here, before Hydra prints an error of its own
            self.bugs.append(error)
            raise

    def swept(self, config: DictConfig) -> Failure | None:
        """The task as one job of a sweep, in whatever process; its failure ends no other job."""
        job = Job.now()
        try:
            self.perform(self.begun(job, config))
        except BrokenPipeError:
            raise
        except (Exception, SystemExit) as error:  # whatever it is, it is this job's
            return self.failed(job, error)

    def run_all(self, configs: Sequence[DictConfig], size: int) -> list[Failure | None]:
        """Do all jobs of a sweep at once, each configuration with Hydra's own part."""
        if self.train_many is None:
            raise UserError("hydra/launcher=batched: this program does one job at a time")
        results: list[Failure | None] = [None] * len(configs)
        begun: dict[int, tuple[Job, dict[str, Any]]] = {}
        for place, config in enumerate(configs):
            HydraConfig.instance().set_config(config)
            job, given = Job.now(), copy(config)
            with open_dict(given):
                del given["hydra"]
            try:
                begun[place] = job, self.begun(job, given)
                self.check(begun[place][1])
            except BrokenPipeError:
                raise
            except Exception as error:
                results[place] = self.failed(job, error)
        ready = [place for place in begun if results[place] is None]
        errors = self.train_many([begun[place][1] for place in ready], size)
        for place, error in zip(ready, errors, strict=True):
            results[place] = None if error is None else self.failed(begun[place][0], error)
        return results

    def begun(self, job: Job, config: DictConfig) -> dict[str, Any]:
        """Announce a job, and return its configuration."""
        begin(job.folder, job.overrides)
        print(f"{job.name}\n", end="", flush=True)  # one write, so that jobs' lines don't mix
        return self.plain(config) | {"run_dir": str(job.folder)}

    def failed(self, job: Job, error: BaseException) -> Failure:
        """Say why a job failed, here and in its folder."""
        told_to_users = _told_to_users(error)
        reason = explain(error) if told_to_users else f"{type(error).__name__}: {one_line(error)}"
        print(f"{_name()}: error: {job.name}: {reason}\n", end="", file=sys.stderr)
        if self.full_errors or not told_to_users:
            traceback.print_exception(error)
        return fail(job.folder, reason, None if told_to_users else error)

    def perform(self, config: dict[str, Any]) -> None:
        stop_if_asked()
        self.check(config)
        self.task(config)

    def plain(self, config: DictConfig) -> dict[str, Any]:
        """Dicts and lists, all references resolved."""
        try:
            plain: Any = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise UserError(explain(error)) from error
        return plain

    def refuse(self, error: Exception) -> NoReturn:
        self.prune()
        if not any(argument.startswith("query=") for argument in sys.argv):  # tab completion stays silent
            print(f"{_name()}: error: {explain(error)}", file=sys.stderr)
        if self.full_errors:
            traceback.print_exception(error)
        raise SystemExit(2) from None

    def prune(self) -> None:
        """Remove the empty folders that Hydra has made for a run that won't be."""
        for folder in reversed(self.missing):
            with suppress(OSError):
                if [path.name for path in folder.iterdir()] == ["multirun.yaml"]:
                    (folder / "multirun.yaml").unlink()
                folder.rmdir()


class Job(NamedTuple):
    """A job of a sweep."""

    folder: Path
    overrides: list[str]
    name: str

    @staticmethod
    def now() -> Job:
        """The job that Hydra is running."""
        job = HydraConfig.get()
        overrides = list(job.overrides.task)
        return Job(Path(job.sweep.dir, job.sweep.subdir), overrides, announced(job.job.num, overrides))


def _arguments() -> Namespace:
    """What was typed. Flags may stand among the keys; Hydra's own parser wants them at an end."""
    arguments = get_args_parser().parse_intermixed_args()
    flags = [argument for argument in sys.argv[1:] if argument not in arguments.overrides]
    sys.argv = [sys.argv[0], *arguments.overrides, *flags]
    return arguments


@contextmanager
def _hydra(loader: Callable[..., Any]) -> Iterator[None]:
    """While the context is open, Hydra composes with our loader and leaves the printing of errors to us."""
    before, asked = internals.ConfigLoaderImpl, os.environ.get("HYDRA_FULL_ERROR")  # pyright: ignore
    internals.ConfigLoaderImpl = loader  # pyright: ignore
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        internals.ConfigLoaderImpl = before  # pyright: ignore
        os.environ.pop("HYDRA_FULL_ERROR")
        if asked is not None:
            os.environ["HYDRA_FULL_ERROR"] = asked


@contextmanager
def _silent_threads() -> Iterator[None]:
    """While the context is open, a disk's error in a thread isn't shown: its owner raises it again."""
    before = threading.excepthook

    def hook(error: Any) -> None:
        if not isinstance(error.exc_value, OSError):
            before(error)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _in_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _told_to_users(error: BaseException) -> bool:
    """Whether this is for a user to put right, and no bug."""
    return isinstance(error, UserError | Unwritable) or lacks_memory(error)


def _name() -> str:
    return Path(sys.argv[0]).name
