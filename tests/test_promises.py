"""What SECURITY.md promises is tested by what it names, and the lock is of the requirements."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from documents import ROOT, section

SECURITY = (ROOT / "SECURITY.md").read_text()
LEFT_OUT = {"torch"}  # whose file depends on the platform


def table(text: str) -> dict[int, str]:
    """What shows each row."""
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", section(text, "What shows it"), re.MULTILINE)
    return {int(number): shown for number, shown in rows}


def nowhere(text: str, root: Path = ROOT) -> list[str]:
    """Tests that are named and aren't there."""
    missing = []
    for file, name in re.findall(r"`(tests/[\w/.]+)::(\w+)`", text):
        path = root / file
        tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
        if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
            missing.append(f"{file}::{name}")
    return missing


def test_every_row_is_there_once_and_names_tests_that_are():
    assert [*table(SECURITY)] == [*range(1, 37)]
    assert all(nowhere(shown) == [] for shown in table(SECURITY).values())
    assert all("::" in shown for shown in table(SECURITY).values())


@pytest.mark.parametrize("name", ["tests/test_none.py::test_a", "tests/test_promises.py::test_none"])
def test_a_test_that_isnt_there_is_seen(name):
    assert nowhere(f"`{name}`") == [name]


def pins(text: str) -> dict[str, set[str]]:
    """Versions by name; a package may have one for each Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", text, re.MULTILINE):
        found.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return found


def astray(lock: str, requirements: str) -> list[str]:
    """Requirements that the lock pins otherwise or not at all, and pins in it without a hash."""
    locked = pins(lock)
    wrong = [
        name
        for name, version in pins(requirements).items()
        if locked.get(name, set()) != (set() if name in LEFT_OUT else version)
    ]
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    return wrong + [each.split()[0] for each in entries if "==" in each and "--hash=sha256:" not in each]


def test_the_lock_is_of_the_requirements_and_names_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    requirements = (ROOT / "requirements.txt").read_text()
    assert len(pins(requirements)) > 20
    assert astray(lock, requirements) == []
    assert "://" not in lock
    (torch,) = pins(requirements)["torch"]
    assert f"torch=={torch}\n" in section(SECURITY, "To install exactly what was tested")


def test_a_lock_gone_astray_is_seen():
    lock = "a==1 \\\n    --hash=sha256:00\nb==2 \\\n    --hash=sha256:00\nc==3\n"
    assert astray(lock, "a==1\nb[x]==2\n") == ["c==3"]
    assert astray(lock, "a==2\nd==1\ntorch==9\n") == ["a", "d", "c==3"]
