"""A million draws, and as many test points, in bounded memory."""

from __future__ import annotations

import subprocess
import sys

import composed
import pytest
import zoo

MEASURE = """
import resource, runpy, sys
sys.argv = ["evaluate.py", *sys.argv[1:]]
try:
    runpy.run_path("evaluate.py", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
GIGABYTE = 10**9


def peak(*arguments):
    """Largest memory of an evaluating process, in bytes."""
    command = [sys.executable, "-c", MEASURE, *arguments]
    done = subprocess.run(command, cwd=zoo.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("million") / "run"
    quick = ("logger=csv", "logger.figures=0", "logger.describe=false", "runtime=cpu", "runtime.threads=1")
    composed.run(folder, "dataset.n_test=1000000", "trainer.max_steps=200", *quick)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
def test_a_million_draws_are_written_within_a_gigabyte(tmp_path, run, kind):
    task = ("task=sample", f"run={run}")
    own = peak(*task, "n=10", f"output={tmp_path / f'few.{kind}'}")
    above = peak(*task, "n=1000000", f"output={tmp_path / f'many.{kind}'}") - own
    print(f"{above / 1e9:.2f} GB above {own / 1e9:.2f} GB")
    assert above < GIGABYTE


@pytest.mark.slow
def test_a_million_points_are_judged_within_a_gigabyte(tmp_path, run):
    own = peak(f"run={run}", f"output={tmp_path / 'few'}", "points=1000")
    above = peak(f"run={run}", f"output={tmp_path / 'many'}", "points=1000000") - own
    print(f"{above / 1e9:.2f} GB above {own / 1e9:.2f} GB")
    assert above < GIGABYTE
