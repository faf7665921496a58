"""Lint, format, types, pins, and which warnings are let through."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from documents import ROOT

REQUIREMENTS = [*ROOT.glob("requirements*.txt"), *ROOT.glob("*/requirements*.txt")]


@pytest.mark.parametrize(
    "tool", ["ruff check --no-cache .", "ruff format --no-cache --check .", "pyright"], ids=str.split
)
def test_clean(tool):
    done = subprocess.run([sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def unpinned(text):
    """Lines that leave a choice of version."""
    exact = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\d+(\.\d+)*(\.?(post|rc)\d+)?|-r \S+|#.*|")
    return [line for line in text.splitlines() if not exact.fullmatch(line)]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_requirements_are_pinned(path):
    assert unpinned(path.read_text()) == []


def test_a_loose_pin_is_seen():
    loose = [
        "torch",
        "torch>=2",
        "torch==2.*",
        "torch~=2.1",
        "torch==2.1,<3",
        "git+https://example.org/torch",
    ]
    assert unpinned("\n".join(["torch==2.13.0", *loose])) == loose


def let_through(filters):
    """Warnings that tests don't turn into errors, other than a named message of a named module of others."""
    other = re.compile(r"(ignore|default):[^:]+:[\w.]+(:(?!flows|data|tests|train|evaluate)[\w.\\]+)")
    return [entry for entry in filters if entry != "error" and not other.fullmatch(entry)]


def test_our_own_warnings_are_errors():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["filterwarnings"][0] == "error"
    assert let_through(options["filterwarnings"]) == []


def test_a_filter_too_wide_is_seen():
    wide = ["ignore", "ignore::DeprecationWarning", "ignore:slow", "ignore:slow:UserWarning"]
    wide += ["ignore:slow:UserWarning:flows.core", "ignore::UserWarning:torch"]
    assert let_through(["error", "ignore:slow:UserWarning:torch.optim", *wide]) == wide


def test_a_warning_fails_a_test(tmp_path):
    (tmp_path / "test_one.py").write_text("import warnings\ndef test(): warnings.warn('mind')\n")
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "UserWarning: mind" in done.stdout
