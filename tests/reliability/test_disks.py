"""Rows 5, 6 and 7: a disk that takes no more is one line that names the path; what was saved stays."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from lives import End, live
from runs import KINDS, differences, finite, leftovers, step
from tricks import at, nobody

from flows.training import checkpoint

ARGUMENTS = (*KINDS["realnvp"], "run_dir=run")
SAVE = "flows.training.trainer:checkpoint.write"


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A small disk."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def fixed(folder: Path) -> Iterator[None]:
    """A folder that not even root may change."""
    if subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode:
        pytest.skip("may not make a folder immutable")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(folder)], check=True)


def is_one_line(end: End, *parts: str) -> None:
    assert end.status == 2
    assert end.err.count("\n") == 1, end.err
    assert all(part in end.err for part in ("train.py: error: ", *parts)), end.err


def is_sound(run: Path) -> None:
    """Its last checkpoint is whole, and nothing temporary lies about."""
    assert step(run) > 0
    assert finite(checkpoint.at(run / "checkpoints" / "last", step(run)))
    assert leftovers(run) == []


def fill(folder: Path) -> None:
    """Leave no room on the disk that this folder is on."""
    with Path(folder, "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


PLACES = (SAVE, "flows.training.monitor:Table.append", "flows.training.board:Board.scalars")


@pytest.mark.parametrize("place", [SAVE, *(pytest.param(p, marks=pytest.mark.slow) for p in PLACES[1:])])
def test_row_05_a_full_disk_is_one_line_and_the_last_checkpoint_stays(place, tmp_path, whole):
    with mounted(tmp_path / "disk", "2m"):
        tricks = [partial(at, place, 5, partial(fill, Path()))]
        end = live(*ARGUMENTS, cwd=tmp_path / "disk", tricks=tricks)
        run = tmp_path / "disk" / "run"
        is_one_line(end, "can't be written: No space left on device", "run/")
        is_sound(run)
        (tmp_path / "disk" / "filler").unlink()
        again = live(*ARGUMENTS, cwd=tmp_path / "disk")
        assert again.status == 0, again.err
        assert differences(run, whole()) == []


def test_row_06_a_limit_of_a_files_size_is_one_line(tmp_path, whole):
    tricks = [partial(at, SAVE, 5, partial(limit, 1000))]
    end = live(*ARGUMENTS, cwd=tmp_path, tricks=tricks)
    is_one_line(end, "can't be written: File too large", "run/checkpoints/")
    is_sound(tmp_path / "run")
    assert live(*ARGUMENTS, cwd=tmp_path).status == 0
    assert differences(tmp_path / "run", whole()) == []


@pytest.mark.parametrize("folder", [".", pytest.param("run", marks=pytest.mark.slow), "run/checkpoints/last"])
def test_row_07_what_is_read_only_is_refused_before_the_first_step(folder, tmp_path, whole):
    if folder != ".":
        shutil.copytree(whole(), tmp_path / "run")
    before = sorted(tmp_path.rglob("*"))
    with fixed(tmp_path / folder):
        tricks = [partial(os.chdir, tmp_path)]
        end = live(*ARGUMENTS, "trainer.max_steps=30", cwd=tmp_path.parent, tricks=tricks)
    is_one_line(end, "run_dir: can't make run" if folder == "." else "can't be written: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_row_07_another_users_folder_is_refused(tmp_path, whole):
    """To whom permission bits do apply, other than to root."""
    if os.getuid() != 0:
        pytest.skip("may not become another user")
    shutil.copytree(whole(), tmp_path / "run")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    tricks = [partial(at, "flows.training.session:Session.opened", 1, nobody)]
    end = live(*ARGUMENTS, "trainer.max_steps=30", cwd=tmp_path, tricks=tricks)
    is_one_line(end, "run/.lock: can't be written: Permission denied")


def test_row_07_a_directory_that_vanishes_is_not_made_again(tmp_path):
    tricks = [partial(at, SAVE, 5, partial(shutil.rmtree, "run"))]
    end = live(*ARGUMENTS, cwd=tmp_path, tricks=tricks)
    is_one_line(end, "run/checkpoints: can't be written: No such file or directory")
    assert not (tmp_path / "run").exists()


def test_row_07_a_folder_that_may_not_be_looked_into_is_refused(tmp_path):
    if os.getuid() != 0:
        pytest.skip("may not become another user")
    (tmp_path / "run").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    tricks = [partial(at, "flows.training.session:Session.opened", 1, nobody)]
    end = live(*ARGUMENTS, cwd=tmp_path, tricks=tricks)
    is_one_line(end, "run: can't be read (Permission denied); give a new run_dir")
