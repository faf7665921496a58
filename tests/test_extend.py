"""A new model, dataset or objective is one Python file and one YAML: those that CONTRIBUTING.md shows."""

from __future__ import annotations

import subprocess
import sys

import pytest
from documents import ROOT, blocks, section, short
from test_faults import copy

DOCUMENT = (ROOT / "CONTRIBUTING.md").read_text()
FOUND = {  # what must be among the tests that find a newcomer by its YAML
    "A model": "test_zoo.py::test_inverse_both_ways[nice-2-0]",
    "A dataset": "test_combinations.py::test_three_steps_or_one_line[cross-realnvp-likelihood]",
    "An objective": "test_combinations.py::test_three_steps_or_one_line[moons-realnvp-blurred]",
}


def add(folder, title):
    """Write a section's files into a copy of the project; returns them."""
    copy(folder)
    files = {folder / block.file: block.text for block in blocks(section(DOCUMENT, title)) if block.file}
    for file, text in files.items():
        assert file.parent.is_dir()
        file.write_text(text)
    return [*files]


def call(folder, *arguments):
    """Run Python there; gives what it said and whether all was well."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode == 0


SHOWN = [pytest.param(title, marks=[] if title == "A model" else pytest.mark.slow) for title in FOUND]


@pytest.mark.parametrize("title", SHOWN)
def test_what_the_document_adds_works_there(tmp_path, title):
    files = add(tmp_path, title)
    assert sorted(file.suffix for file in files) == [".py", ".yaml"]
    shell = [block.text for block in blocks(section(DOCUMENT, title)) if block.language == "bash"]
    for line in "".join(shell).splitlines():
        verbose = ["-vv"] if "pytest" in line else []
        said, well = call(tmp_path, *short(line), *verbose)
        assert well, said
    assert f"{FOUND[title]} PASSED" in said  # the last command is the tests'
    for style in (["check"], ["format", "--check"]):
        said, well = call(tmp_path, "-m", "ruff", *style, *(file for file in files if file.suffix == ".py"))
        assert well, said


def test_what_is_added_wrongly_is_caught_there(tmp_path):
    python, _ = add(tmp_path, "A model")
    text = python.read_text()
    assert "return z - theta" in text
    python.write_text(text.replace("return z - theta", "return z + theta"))
    said, well = call(tmp_path, "-m", "pytest", "tests/test_zoo.py", "-x", "-k", "nice and inverse")
    assert not well
    assert "FAILED tests/test_zoo.py::test_inverse_both_ways[nice" in said
