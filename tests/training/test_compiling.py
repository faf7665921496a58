"""A compiled step is the eager one, and is compiled only where that pays."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import composed
import pytest
import torch
import zoo

from flows.errors import UserError
from flows.training import compiling
from flows.training.runtime import Runtime
from flows.training.table import read


@pytest.mark.parametrize(
    ("backend", "kinds"),
    [
        ("aot_eager", ["moons"]),
        pytest.param("aot_eager", ["critic"], marks=pytest.mark.slow),
        pytest.param("inductor", ["moons", "critic"], marks=pytest.mark.slow),  # what users get
    ],
)
def test_compiled_steps_are_the_eager_ones(backend, kinds):
    """In a process of its own: the type checks of the other tests can't be compiled."""
    command = [sys.executable, Path(__file__).with_name("steps.py"), backend, *kinds]
    done = subprocess.run(command, capture_output=True, text=True, cwd=zoo.ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == kinds


@pytest.mark.parametrize(
    ("asked", "steps", "answer"),
    [("auto", 100, False), ("auto", compiling.ENOUGH, True), (True, 1, True), (False, 10**9, False)],
)
def test_where_it_pays(monkeypatch, asked, steps, answer):
    monkeypatch.setattr("flows.training.runtime.has_compiler", lambda device: True)
    assert Runtime("cpu", compile=asked).compiles(steps, {}) is answer
    convolution = {"model": torch.nn.Conv2d(1, 1, 1)}
    assert Runtime("cpu", compile=asked).compiles(steps, convolution) is (asked is True)


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert not Runtime("cpu").compiles(10**9, {})
    with pytest.raises(UserError, match=r"runtime\.compile=true: no C\+\+ compiler"):
        Runtime("cpu", compile=True)


def test_convolutions_are_not_called_from_cpp(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda function, **told: asked.append(told["options"]) or function)
    for net in (torch.nn.Linear(2, 2), torch.nn.Conv2d(2, 2, 3)):
        compiling.compile_step(print, {"model": net})
    assert [options["cpp_wrapper"] for options in asked] == [True, False]


def test_what_cannot_be_compiled_is_one_line():
    def step(x):
        return x + 1 if float(x.sum()) > 0 else x  # a branch on data

    with pytest.raises(UserError, match=r"use runtime\.compile=false") as refusal:
        compiling.compile_step(step, {})(torch.ones(3))
    assert "\n" not in str(refusal.value)


def test_what_one_run_has_compiled_is_never_taken_for_anothers(monkeypatch):
    """Both are given tensors of the same shapes, in one process as in a sweep's."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))

    def scaled(factor):
        return compiling.compile_step(lambda x: factor * x.sum(), {})

    for factor in range(1, 12):  # more than torch compiles of one piece of code
        assert scaled(factor)(torch.ones(3)) == 3 * factor


def test_a_run_is_told_and_says_whether_it_was_compiled(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "flows.training.fusing.compile_step", lambda function, nets: asked.append(nets) or function
    )
    for answer in ("false", "true"):
        keys = ("experiment=debug", "logger=csv", "logger.describe=false", f"runtime.compile={answer}")
        composed.run(tmp_path / answer, *keys)
        assert json.loads((tmp_path / answer / "run.json").read_text())["compiled"] is (answer == "true")
        assert len(asked) == (answer == "true")
    last = [read(tmp_path / answer / "metrics.csv")[-1] for answer in ("false", "true")]
    assert float(last[0]["nll"]) == pytest.approx(float(last[1]["nll"]), rel=1e-5)


def test_a_budget_in_seconds_holds_the_compiling(tmp_path, monkeypatch):
    """By a clock on which compiling takes 15 seconds and a look at it a tenth."""
    now = [0.0]

    def look() -> float:
        now[0] += 0.1
        return now[0]

    def compile_step(function, nets):
        waiting = [15.0]

        def call(*given):
            now[0] += waiting.pop() if waiting else 0.0
            return function(*given)

        return call

    def steps(seconds: int, compiled: str) -> int:
        budget = ("trainer.max_steps=null", f"trainer.max_seconds={seconds}", f"runtime.compile={compiled}")
        session = composed.session(
            *budget, f"run_dir={tmp_path}", "runtime=cpu", "logger=csv", "model.width=8"
        )
        with session.opened():
            return session.run.steps

    monkeypatch.setattr("flows.training.trainer.time", SimpleNamespace(perf_counter=look))
    monkeypatch.setattr("flows.training.fusing.compile_step", compile_step)
    monkeypatch.setattr("flows.training.runtime.has_compiler", lambda device: True)
    assert 1 < steps(20, "true") < steps(20, "false") / 3
    with pytest.raises(UserError, match=r"trainer\.max_seconds=10: compiling alone took longer"):
        steps(10, "true")


def test_where_the_last_step_isnt_known_auto_compiles_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.training.runtime.has_compiler", lambda device: True)
    often = [
        f"run_dir={tmp_path}",
        f"trainer.max_steps={10**6}",
        "runtime=cpu",
        "model.width=8",
        "logger=csv",
    ]
    early = (["trainer.max_seconds=0.5"], False), (["trainer.patience=3"], False)
    for more, answer in ([], True), *early:
        session = composed.session(*often, *more)
        with session.opened():
            session.run.steps = 10**6
            assert session.compiles is answer
