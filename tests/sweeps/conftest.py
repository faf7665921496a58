"""Sweeps, called in this process."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from flows.cli import entry
from flows.config import check_all


class Said(NamedTuple):
    status: int
    out: str
    err: str


def check(config):
    check_all(config, trusted=config["trusted_packages"])


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    """Call a sweep into the folder `s` of an empty one, with a task in the place of training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(*arguments, task, check=check):
        monkeypatch.setattr(sys, "argv", ["train.py", "-m", "run_dir=s", *arguments])
        status = 0
        try:
            entry("config", check)(task)()
        except SystemExit as leaving:
            status = leaving.code
        return Said(status, *capfd.readouterr())

    return run
