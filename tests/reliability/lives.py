"""Lives of the programs, each in a process of its own, forked from one that has imported all they need."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FORKS = multiprocessing.get_context("forkserver")
NEEDED = (
    *("train", "evaluate", "data.toys", "data.grf"),
    *("flows.models.realnvp", "flows.models.masked_transformer", "flows.models.conditional_flow"),
    *("flows.objectives.likelihood", "flows.objectives.masked", "flows.objectives.wgan_gp"),
    *("flows.training.session", "flows.training.board", "flows.sweeps.batched", "flows.sweeps.summary"),
    *("flows.evaluation.tasks.report", "torch._dynamo", "scipy.optimize", "sklearn.datasets"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "mpl_toolkits.mplot3d", "PIL.PngImagePlugin"),
)
FORKS.set_forkserver_preload(["lives", *NEEDED])
PATIENCE = 120.0  # seconds, after which a life is taken to hang

Trick = Callable[[], None]


class End(NamedTuple):
    """What a life left: its status, negative for the signal that ended it, and what it said."""

    status: int | None
    out: str
    err: str


class Life:
    """A program that runs: `train` or `evaluate`.

    Args:
        arguments: Its command line.
        cwd: Where it is called.
        program: Which.
        tricks: Done in its process first, as things are to go wrong; found by name, so functions of modules.
    """

    def __init__(
        self, arguments: Sequence[str], cwd: Path, program: str = "train", tricks: Sequence[Trick] = ()
    ) -> None:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(ROOT)])  # for the server's own imports
        os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"  # of locks that the dead don't give back
        self.said = cwd / f".said-{os.urandom(4).hex()}"
        self.process = FORKS.Process(target=_live, args=(program, [*arguments], cwd, self.said, [*tricks]))
        self.process.start()

    def tell(self, sign: signal.Signals) -> None:
        assert self.process.pid is not None
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(self.process.pid, sign)

    def end(self) -> End:
        """Wait for it."""
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"it hangs: {self._read('err')}")
        return End(self.process.exitcode, self._read("out"), self._read("err"))

    def _read(self, stream: str) -> str:
        path = self.said.with_suffix(f".{stream}")
        try:
            return path.read_text()
        except FileNotFoundError:  # it died before it could speak
            return ""
        finally:
            path.unlink(missing_ok=True)


def live(*arguments: str, cwd: Path, program: str = "train", tricks: Sequence[Trick] = ()) -> End:
    """A whole life."""
    return Life(arguments, cwd, program, tricks).end()


def until(found: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to be there."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def _live(program: str, arguments: list[str], cwd: Path, said: Path, tricks: list[Trick]) -> None:
    os.setsid()  # so that a signal to its group is its own
    os.chdir(cwd)
    for stream, handle in (("out", 1), ("err", 2)):
        os.dup2(os.open(said.with_suffix(f".{stream}"), os.O_CREAT | os.O_WRONLY | os.O_APPEND), handle)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = [f"{program}.py", *arguments]
    for trick in tricks:
        trick()
    try:
        getattr(importlib.import_module(program), program)()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
