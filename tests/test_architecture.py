"""Imports run one way, and the command line imports nothing heavy."""

from __future__ import annotations

import ast
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOOR = {"errors", "types", "files", "parquet", "signals", "surplus", "wording"}  # know nothing of flows
MAY = {
    "nets": set(),  # torch alone
    "optimizing": set(),  # torch alone
    "bases": {"core"} | FLOOR,
    "heads": set(),  # torch alone
    "transforms": {"core", "masks", "heads", "nets"} | FLOOR,
    "models": {"core", "masks", "bases", "heads", "transforms", "nets"} | FLOOR,
    "lattice": {"core"} | FLOOR,
    "masks": FLOOR,
    "objectives": {"core", "masks", "transforms", "nets"} | FLOOR,
    "training": {"core", "lattice", "objectives", "optimizing", "config"} | FLOOR,
    "sweeps": {"core", "objectives", "training", "config", "evaluation"} | FLOOR,  # pages of one look
    "evaluation": {"core", "lattice", "masks", "training", "config"} | FLOOR,  # reads what training saves
    "config": {"options", "targets", "optimizing"} | FLOOR,
    "cli": {"composition", "options", "refusals", "sweeps"} | FLOOR,
    "__init__": {"core", "lattice", "training"},
    "data": {"core", "masks"} | FLOOR,
}
HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "tensorboard",
    "jinja2",
    "pydantic",
    "PIL",
}


parse = functools.cache(ast.parse)


def sources(root: Path) -> dict[str, ast.Module]:
    """Every project file by its module's name."""
    files = [*root.glob("flows/**/*.py"), *root.glob("data/**/*.py"), root / "train.py", root / "evaluate.py"]
    return {".".join(f.relative_to(root).with_suffix("").parts): parse(f.read_text()) for f in files}


def imported(module: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Names of imported modules, absolute; `from a import b` gives a and a.b."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            path = ".".join([*above, *([node.module] if node.module else [])])
            yield path
            yield from (f"{path}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The part of the house that a module belongs to."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "flows" and rest else top


def upward(root: Path) -> list[str]:
    """Imports that run against the arrows, wherever in a file they stand."""
    found = []
    for module, tree in sources(root).items():
        here = room(module)
        if here in ("train", "evaluate"):
            continue
        for name in imported(module, ast.walk(tree)):
            there = room(name)
            inside = name.startswith(("flows.", "data.")) or name in ("data", "train", "evaluate")
            if inside and there != here and there not in MAY.get(here, FLOOR):
                found.append(f"{module} -> {name}")
    return found


def heavy(root: Path) -> list[str]:
    """Heavy libraries that --help would wait for."""
    trees = sources(root)
    waiting, seen, found = ["train", "evaluate"], set(), []
    while waiting:
        module = waiting.pop()
        if module in seen or module not in trees:
            continue
        seen.add(module)
        for name in imported(module, at_import(trees[module])):
            if name.partition(".")[0] in HEAVY:
                found.append(f"{module} -> {name}")
            parts = name.split(".")
            prefixes = [".".join(parts[:k]) for k in range(1, len(parts) + 1)]
            waiting += [path for prefix in prefixes for path in (prefix, f"{prefix}.__init__")]
    return found


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_import(child)


def test_imports_run_one_way():
    assert len(sources(ROOT)) > 30
    assert upward(ROOT) == []


def test_the_command_line_imports_nothing_heavy():
    assert heavy(ROOT) == []


@pytest.fixture
def copy(tmp_path):
    for folder in ("flows", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("train.py", "evaluate.py"):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("flows/core.py", "import data.toys"),
        ("flows/training/run.py", "from data import toys"),
        ("flows/evaluation/measure.py", "import train"),
        ("flows/models/realnvp.py", "from flows.objectives import Likelihood"),
        ("flows/models/realnvp.py", "from ..objectives import Likelihood"),
        ("flows/objectives/likelihood.py", "def later():\n    from flows.models import realnvp"),
        ("flows/nets/mlp.py", "from flows.core import Spec"),
        ("flows/transforms/coupling.py", "from flows import models"),
        ("flows/core.py", "from flows.bases import StandardNormal"),
        ("flows/training/run.py", "from flows.evaluation import measure"),
        ("flows/wording.py", "from flows.core import Spec"),
        ("data/toys.py", "import flows.training.run"),
    ],
)
def test_an_import_against_the_arrows_is_seen(copy, file, line):
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    module = ".".join(Path(file).with_suffix("").parts)
    assert {found.partition(" ")[0] for found in upward(copy)} == {module}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("train.py", "import pandas as pd"),
        ("evaluate.py", "from flows.training.saved import Saved"),
        ("flows/cli.py", "import torch"),
        ("flows/refusals.py", "try:\n    import pydantic.fields\nexcept ImportError:\n    pass"),
        ("flows/wording.py", "class Late:\n    from flows.core import Spec"),
        ("flows/__init__.py", "from flows.core import Flow"),
    ],
)
def test_a_heavy_import_is_seen(copy, file, line):
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    assert heavy(copy) != []


FIRST_STEP = """
import json, runpy, sys
from flows.training.trainer import Trainer

unneeded = ("torch._dynamo", "scipy", "sklearn", "matplotlib")
step = Trainer.take_turn

def turn(self, run):
    step(self, run)
    print(json.dumps([name for name in unneeded if name in sys.modules]))

Trainer.take_turn = turn
sys.argv = ["train.py", "trainer.max_steps=1", "logger=csv", f"run_dir={sys.argv[1]}"]
runpy.run_path("train.py", run_name="__main__")
"""


def test_the_first_step_waits_for_nothing_that_it_does_not_need(tmp_path):
    """The compiler, scikit-learn and matplotlib take longer to import than all else but torch."""
    command = [sys.executable, "-c", FIRST_STEP, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, capture_output=True)
    assert json.loads(done.stdout.splitlines()[0]) == []
