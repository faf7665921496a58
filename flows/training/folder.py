"""A run's directory: whose it is, and whether a command may carry on there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, final

from flows.errors import Busy, UserError
from flows.files import Unwritable, check_inside, unfinished, write_whole, writing
from flows.training.config_diff import describe_difference, distinguishing_keys, flatten, is_free
from flows.training.written import dumped, mapping
from flows.wording import show

_LOCK = ".lock"
# O_NOFOLLOW: a symlinked lock must not make us write to a file outside the run
_NO_LINK = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
# a sweep writes these before a run exists, and where none was ever started
_NO_RUN = {_LOCK, "overrides.yaml", "error.txt"}
_OURS = ("config.yaml", "run.json", "metrics.csv", "overrides.yaml", "error.txt")  # written under the lock
_KINDS = {"steps": int, "seconds": float | int, "data_hash": str, "resumed": list}  # of the facts relied on
_BUDGET = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_seconds")


@final
class Folder:
    """The directory of one run.

    Args:
        path: The directory; made by `claim` if absent.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    def check(self, config: Mapping[str, Any], data_hash: str) -> bool:
        """See whether this configuration may run here: a new run, or the same one carried on.

        Allowed are a larger budget, another logger or device, moved data files, more checkpoints, and
        compiling or capturing.

        Returns: Whether the budget differs from the one the directory was claimed with.
        Raises: UserError if anything else differs, naming what tells them apart, or if something in there
            leads elsewhere.
        """
        try:
            if self.path.is_dir():
                check_inside(self.path)
            begun = (self.path / "config.yaml").exists()
            alien = entries(self.path) - _NO_RUN
        except OSError as error:
            raise UserError(f"{self.path}: can't be read ({error.strerror}); give a new run_dir") from error
        if not begun:
            if alien:
                raise UserError(f"{self.path}: not empty and not a run's directory; give a new run_dir")
            return False
        saved, given = flatten(mapping(self.path / "config.yaml")), flatten(config)
        differing = distinguishing_keys([saved, given])
        refused = [key for key in differing if key not in _BUDGET and not is_free(key)]
        listed = [describe_difference(key, saved.get(key), given.get(key)) for key in refused]
        known = self.facts().get("data_hash", data_hash)
        if known != data_hash and "dataset._target_" not in refused:
            listed.append("its training data was another")
        if listed:
            raise UserError(
                f"{self.path}: can't carry on, it holds another run: {'; '.join(listed)}; give a new run_dir"
            )
        return any(key in _BUDGET for key in differing)

    def claim(self, config: Mapping[str, Any], facts: Mapping[str, Any], step: int, steps: int) -> None:
        """Take the directory for this configuration; where a run is carried on, note what has changed.

        Args:
            config: All that the run is told.
            facts: All else that its result may depend on.
            step: Where it stands.
            steps: Its budget.
        """
        before, now = self.facts(), {"status": "running", "steps": steps}
        given = json.loads(json.dumps(dict(facts)))  # tuples to lists, as they are read
        changed = {name: fact for name, fact in given.items() if before.get(name) != fact}
        if before and changed:
            now["resumed"] = [*before.get("resumed", []), {"step": step, **changed}]
        if before:
            self.note(**now)  # first: after a crash between the two, the budget still counts as changed
        kept = {key: value for key, value in config.items() if key not in ("run_dir", "trusted_packages")}
        write_whole(self.path / "config.yaml", dumped(kept))
        if not before:
            self.note(**given, **now)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the context is open, keep other processes out.

        First removes files that a dead process left half written, whose lock doesn't count.

        Raises:
            Busy if another process holds the directory.
            Unwritable if nothing can be written there.
        """
        absent = not self.path.exists()
        path = self.path / _LOCK
        with writing(path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.fdopen(os.open(path, _NO_LINK, 0o666), "a+")
        with lock:
            self._take(lock)
            try:
                with writing(self.path):
                    for half in unfinished(self.path, _OURS):
                        half.unlink()
                yield
            finally:
                path.unlink(missing_ok=True)
                if absent and self.path.is_dir() and not any(self.path.iterdir()):
                    self.path.rmdir()

    def _take(self, lock: IO[str]) -> None:
        """Take an open lock file, and write this process's number into it."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Busy(f"{self.path}: process {lock.read().strip()} is training here") from None
        path = self.path / _LOCK
        if not path.exists() or not os.path.samestat(path.stat(), os.fstat(lock.fileno())):
            # its holder has removed it since we opened it, and a third process may hold a new one
            raise Busy(f"{self.path}: another process was training here until now; try again")
        with writing(path):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()

    def facts(self) -> dict[str, Any]:
        """What run.json says."""
        path = self.path / "run.json"
        found = mapping(path) if path.exists() else {}
        for key, kind in _KINDS.items():
            if key in found and not isinstance(found[key], kind):
                raise UserError(f"{path}: {key} is {show(found[key])}, so it is damaged")
        return found

    def writable(self) -> None:
        """See that a run could be saved here, before it begins.

        Raises: Unwritable that names the folder which forbids it.
        """
        kept = [self.checkpoints / kind for kind in ("", "last", "best")]
        for folder in (self.path, *kept, self.path / "tensorboard"):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise Unwritable(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def note(self, **facts: Any) -> None:
        """Add to run.json.

        Raises: Unwritable if it can't be; also if the directory is gone, which isn't made again.
        """
        if not self.path.is_dir():
            raise Unwritable(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        write_whole(self.path / "run.json", json.dumps(self.facts() | facts, indent=1) + "\n")


def entries(folder: Path) -> set[str]:
    """Names of what lies in a run's directory, but for files that a process began to write and died."""
    halves = unfinished(folder, _OURS)
    return {path.name for path in folder.iterdir() if path not in halves} if folder.is_dir() else set()
