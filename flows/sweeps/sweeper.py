"""Hydra's sweeper, which after the last job says what became of them all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper

from flows.errors import UserError
from flows.sweeps.job import Failure, announced


@final
class Sweep(Sweeper):
    """One job for each combination of values; none that fails ends the others.

    Args:
        options: Those of Hydra's own sweeper.

    Raises: SystemExit(1) at the end if any failed.
    """

    def __init__(self, **options: Any) -> None:
        # here, since Hydra loads its plugins anew when it looks for them
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(**options)

    def setup(self, **given: Any) -> None:
        self._basic.setup(**given)

    def sweep(self, arguments: list[str]) -> Any:
        self._check_values(arguments)
        self._check_folder()
        batches = self._basic.sweep(arguments)
        self._summarise()
        failures = _failures([job for batch in batches for job in batch], self._basic.overrides or [])
        if failures:
            jobs = sum(map(len, batches))
            print(f"{Path(sys.argv[0]).name}: error: {len(failures)} of {jobs} jobs failed:", file=sys.stderr)
            print(*failures, sep="\n", file=sys.stderr)
            raise SystemExit(1)
        return batches

    def _check_values(self, arguments: list[str]) -> None:
        """Refuse a sweep over no values, which Hydra takes for one of no jobs."""
        context = self._basic.hydra_context
        assert context is not None
        for override in OverridesParser.create(context.config_loader).parse_overrides(arguments):
            swept = override.is_sweep_override() and override.is_discrete_sweep()
            if swept and not [*override.sweep_string_iterator()]:
                raise UserError(f"{override.input_line}: no values, so there is nothing to run")

    def _check_folder(self) -> None:
        """Refuse a sweep among the files of a run."""
        if (self._folder / "run.json").exists():
            raise UserError(f"run_dir={self._folder}: a run's directory; give the sweep one of its own")

    @property
    def _folder(self) -> Path:
        assert self._basic.config is not None
        return Path(str(self._basic.config.hydra.sweep.dir))

    def _summarise(self) -> None:
        """Write and print the summary, where the jobs were runs."""
        folder = self._folder
        if not any(folder.rglob("run.json")):
            return
        from flows.sweeps.summary import Summary  # heavy: refusals shouldn't wait for it

        try:
            summary = Summary.of(folder)
            print(f"\n{summary}\n\nsummary: {summary.write()}", flush=True)
        except (UserError, OSError) as error:  # the runs are there all the same
            print(f"{Path(sys.argv[0]).name}: no summary: {error}", file=sys.stderr)


def _failures(jobs: Sequence[JobReturn], batches: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """A line for each job that failed: its number, what tells it from the others, and why."""
    overrides = [each for batch in batches for each in batch]
    common = set(overrides[0]).intersection(*overrides)
    return [
        f"{announced(number, [each for each in given if each not in common])}: {job.return_value.reason}"
        for number, (job, given) in enumerate(zip(jobs, overrides, strict=True))
        if isinstance(job.return_value, Failure)
    ]
