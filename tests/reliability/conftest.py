"""Runs that nothing ever happened to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lives import live
from runs import KINDS


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a run of some kind that was never stopped."""
    made: dict[str, Path] = {}

    def run(kind: str = "realnvp") -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            done = live(*KINDS[kind], "run_dir=run", cwd=folder)
            assert done.status == 0, done.err
            made[kind] = folder / "run"
        return made[kind]

    return run


OTHERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "realnvp"]


@pytest.fixture(params=["realnvp", *OTHERS])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of run: by default the smallest alone."""
    return request.param
