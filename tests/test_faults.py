"""Faults planted in a copy of the project, each caught by the test that is there for it.

A test that passes on the faulty copy would be a test that can't fail.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zoo
from planted import FAULTS

COPIED = ("flows", "data", "conf", "benchmarks", "tests", "train.py", "evaluate.py", "pyproject.toml")


def copy(folder: Path) -> None:
    for name in COPIED:
        source = zoo.ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)


def passes(folder: Path, *tests: str) -> bool:
    """Whether tests pass there; they must exist."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


EACH_TIME = {
    "bad step not suppressed",
    "optimizer not restored",
}


def marked(name):
    """A few are planted each time, the others in slow tests: one takes seconds."""
    return pytest.param(name, marks=() if name in EACH_TIME else pytest.mark.slow)


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_would_change_is_there(name):
    fault = FAULTS[name]
    text = (zoo.ROOT / fault.file).read_text()
    assert fault.right in text, f"{fault.file} no longer says {fault.right!r}"
    if fault.file.endswith(".py"):
        ast.parse(text.replace(fault.right, fault.wrong))  # a fault, and no file that can't be read
    assert (zoo.ROOT / fault.caught_by.partition("::")[0]).is_file()


@pytest.mark.parametrize("name", [marked(name) for name in FAULTS])
def test_a_planted_fault_is_caught(tmp_path, name):
    fault = FAULTS[name]
    copy(tmp_path)
    path = tmp_path / fault.file
    path.write_text(path.read_text().replace(fault.right, fault.wrong))
    assert not passes(tmp_path, fault.caught_by)


@pytest.mark.slow  # the suite itself runs these tests; this adds that they pass in a copy
def test_the_copy_without_a_fault_passes(tmp_path):
    copy(tmp_path)
    assert passes(tmp_path, *dict.fromkeys(fault.caught_by for fault in FAULTS.values()))
