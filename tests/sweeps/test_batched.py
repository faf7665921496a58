"""hydra/launcher=batched: each run is the one that it would have been alone."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path
from signal import SIGTERM
from types import SimpleNamespace
from typing import Any, final

import composed
import hasty
import pytest
import torch
import zoo
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
from terminal import seen
from typeguard import suppress_type_checks

import train
from flows.errors import UserError
from flows.files import Unwritable
from flows.objectives import Likelihood
from flows.signals import Stopped
from flows.sweeps import batched
from flows.sweeps.member import Member
from flows.training import checkpoint
from flows.training.run import Run
from flows.training.saved import Saved
from flows.training.session import Session, carry_out
from flows.training.table import read
from flows.training.trainer import Trainer

TINY = (
    *("dataset=moons", "dataset.n_train=320", "dataset.n_val=64", "dataset.n_test=64"),
    *("model=realnvp", "model.layers=2", "model.width=8", "trainer.batch_size=32", "trainer.max_steps=30"),
    *("trainer.validate_every=10", "trainer.checkpoint_every=10", "trainer.keep=9", "runtime.dtype=float64"),
    *("runtime.device=cpu", "logger=csv", "logger.log_every=10"),
)
MEMBERS = (("seed=0",), ("seed=1", "trainer.optimizer.lr=1e-2"), ("seed=2", "dataset.seed=4"))
composed_once = cache(composed.configuration)  # for Hydra takes longer than the runs


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    hasty.hurry(monkeypatch)


def configs(folder: Path, *members: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        deepcopy(composed_once(*TINY, *own)) | {"run_dir": str(folder / str(number))}
        for number, own in enumerate(members)
    ]


def together(folder: Path, *members: tuple[str, ...], size: int = 64) -> list[Exception | None]:
    return train.train_together(configs(folder, *members), size)


def alone(folder: Path, *members: tuple[str, ...]) -> None:
    for config in configs(folder, *members):
        train.conclude(carry_out(train.prepare(config)))


def tensors(run: Path, step: int = 30) -> dict[str, torch.Tensor]:
    parts = checkpoint.read(run / "checkpoints" / "last" / f"{step:08d}").tensors
    return {f"{part}.{name}": value for part, own in parts.items() for name, value in own.items()}


def agree(ours: Path, theirs: Path, rtol: float = 0.0, step: int = 30) -> None:
    mine, yours = tensors(ours, step), tensors(theirs, step)
    assert mine.keys() == yours.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, yours[name], rtol=rtol, atol=rtol, msg=name)


@pytest.mark.parametrize("size", [64, 2])
def test_runs_are_those_that_they_would_be_alone(tmp_path, size):
    alone(tmp_path / "a", *MEMBERS)
    assert together(tmp_path / "b", *MEMBERS, size=size) == [None] * 3
    for number in range(3):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", 1e-9)
        ours, theirs = (tmp_path / f"{sweep}/{number}" for sweep in "ba")
        assert (ours / "config.yaml").read_text() == (theirs / "config.yaml").read_text()
        assert json.loads((ours / "run.json").read_text())["status"] == "finished"
        for mine, yours in zip(read(ours / "metrics.csv"), read(theirs / "metrics.csv"), strict=True):
            assert mine.keys() == yours.keys()
            assert float(mine["nll"]) == pytest.approx(float(yours["nll"]), rel=1e-9)
        assert Saved(ours).weights().keys() == Saved(theirs).weights().keys()


def test_an_adversary_too_is_the_one_that_it_would_be_alone(tmp_path):
    own = ("trainer=wgan_gp", "trainer.objective.critic.width=8", "trainer.max_steps=3")
    own = (*own, "trainer.objective.n_critic=2", "+trainer.players.critic.lr=0.01")
    members = [(*own, f"seed={seed}") for seed in range(2)]
    alone(tmp_path / "a", *members)
    assert together(tmp_path / "b", *members) == [None] * 2
    for number in range(2):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", 1e-9, step=3)


def interrupted(folder, monkeypatch, *members):
    """Train the members, and press Ctrl-C at step 17."""
    step = batched.step

    def struck(joined, *rest):
        if joined.runs[0].step == 17:
            raise KeyboardInterrupt
        return step(joined, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(batched, "step", struck)
        with pytest.raises(KeyboardInterrupt):
            together(folder, *members or MEMBERS)


def test_a_sweep_stopped_and_taken_up_again_is_the_one_never_stopped(tmp_path, monkeypatch):
    together(tmp_path / "whole", *MEMBERS)
    interrupted(tmp_path / "cut", monkeypatch)
    assert json.loads((tmp_path / "cut/1/run.json").read_text())["status"] == "interrupted"
    together(tmp_path / "cut", *MEMBERS)
    for number in range(3):
        agree(tmp_path / f"cut/{number}", tmp_path / f"whole/{number}")


DROPPING = tuple(
    (*own, "model.dropout=0.2", "trainer.keep=1", f"trainer.checkpoint_every={5 + number}")
    for number, own in enumerate((*MEMBERS, ("seed=3", "trainer.max_steps=10")))
)
"""Members that share a generator, so that whatever isn't as it was shows; the last one opened ends first."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """The folder of these members, never stopped."""
    folder = tmp_path_factory.mktemp("dropping") / "s"

    def sweep() -> Path:
        if not folder.exists():
            together(folder, *DROPPING)
        return folder

    return sweep


@pytest.mark.parametrize(
    ("function", "member", "at", "left"),
    [
        ("prepare", 1, 20, [18, 18, 18]),
        pytest.param("commit", 1, 20, [20, 20, 20], marks=pytest.mark.slow),
        pytest.param("prepare", 3, 10, [8, 8, 8, 8], marks=pytest.mark.slow),  # its end
        ("commit", 3, 10, [10, 10, 10]),
    ],
)
def test_a_batch_cut_between_two_members_saves_is_the_one_never_stopped(
    function, member, at, left, tmp_path, monkeypatch, undisturbed
):
    """Those before have saved, or prepared to, what this one has not."""
    inner = getattr(checkpoint, function)

    def struck(folder, step, *rest):
        if folder == tmp_path / f"cut/{member}/checkpoints/last" and step == at:
            raise KeyboardInterrupt
        return inner(folder, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, function, struck)
        with pytest.raises(KeyboardInterrupt):
            together(tmp_path / "cut", *DROPPING)
    stood, step = [], batched.step

    def watched(joined, *rest):
        stood.append([run.step for run in joined.runs])
        return step(joined, *rest)

    monkeypatch.setattr(batched, "step", watched)
    assert together(tmp_path / "cut", *DROPPING) == [None] * 4
    assert stood[0] == left
    same(tmp_path / "cut", undisturbed(), 4, last=10)


def same(ours: Path, theirs: Path, members: int, last: int = 30) -> None:
    """To the last bit, and what is kept too; the last member has ended at some step."""
    for number in range(members):
        agree(ours / f"{number}", theirs / f"{number}", step=last if number == members - 1 else 30)
        mine, yours = (Saved(folder / f"{number}").weights() for folder in (ours, theirs))
        assert all(torch.equal(value, yours[name]) for name, value in mine.items())
        kept = [(folder / f"{number}/checkpoints").glob("*/*") for folder in (ours, theirs)]
        assert len({tuple(sorted(path.name for path in paths)) for paths in kept}) == 1
        rows = [read(folder / f"{number}/metrics.csv") for folder in (ours, theirs)]
        assert [row["nll"] for row in rows[0]] == [row["nll"] for row in rows[1]]


def test_members_that_would_save_at_other_steps_save_together(tmp_path, monkeypatch, undisturbed):
    interrupted(tmp_path / "cut", monkeypatch, *DROPPING)
    steps = [checkpoint.newest(tmp_path / f"cut/{number}/checkpoints/last") for number in range(4)]
    assert [path and int(path.name) for path in steps] == [15, 15, 15, 10]
    together(tmp_path / "cut", *DROPPING)
    same(tmp_path / "cut", undisturbed(), 4, last=10)


def test_a_sweep_taken_up_again_is_the_one_never_stopped_though_one_has_diverged(tmp_path, monkeypatch):
    members = (
        *DROPPING[:3],
        ("seed=3", "model.dropout=0.2", "trainer.optimizer.lr=1e30", "trainer.warmup=0"),
    )
    together(tmp_path / "whole", *members)
    interrupted(tmp_path / "cut", monkeypatch, *members)
    *fine, error = together(tmp_path / "cut", *members)
    assert fine == [None] * 3
    assert "non-finite" in str(error)
    same(tmp_path / "cut", tmp_path / "whole", 3)


TO_ROUNDING = pytest.mark.parametrize(
    ("precision", "tolerance"),
    [("float64", 1e-10), pytest.param("float32", 1e-4, marks=pytest.mark.slow)],
)


@TO_ROUNDING
def test_a_run_of_a_batch_carried_on_alone_ends_as_alone(precision, tolerance, tmp_path, monkeypatch):
    members = [(*own, f"runtime.dtype={precision}") for own in MEMBERS]
    alone(tmp_path / "a", *members)
    interrupted(tmp_path / "b", monkeypatch, *members)
    alone(tmp_path / "b", *members)
    for number in range(3):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", tolerance)


def struck_at(step: int) -> Callable[[Trainer, Run], None]:
    turn = Trainer.take_turn

    def struck(self: Trainer, run: Run) -> None:
        if run.step == step:
            raise KeyboardInterrupt
        turn(self, run)

    return struck


@TO_ROUNDING
def test_runs_begun_alone_and_carried_on_together_end_as_alone(precision, tolerance, tmp_path, monkeypatch):
    """From steps of their own: the last is at 20 when the others are at 10."""
    members = [(*own, f"runtime.dtype={precision}") for own in MEMBERS]
    alone(tmp_path / "a", *members)
    for config, step in zip(configs(tmp_path / "b", *members), (17, 17, 27), strict=True):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Trainer, "take_turn", struck_at(step))
            carry_out(train.prepare(config))
    assert together(tmp_path / "b", *members) == [None] * 3
    for number in range(3):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", tolerance)


def test_one_that_has_just_ended_when_another_is_stopped_is_saved_too(tmp_path, monkeypatch):
    together(tmp_path / "whole", *MEMBERS)
    look_up = Trainer.look_up

    def stopped(self, run, validation, monitor):
        if run.step == 30 and monitor.folder.name == "1":
            raise Stopped(SIGTERM)
        return look_up(self, run, validation, monitor)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "look_up", stopped)
        with pytest.raises(Stopped):
            together(tmp_path / "cut", *MEMBERS)
    states = [json.loads((tmp_path / f"cut/{k}/run.json").read_text())["status"] for k in range(3)]
    assert states == ["finished", "interrupted", "interrupted"]
    assert (
        checkpoint.newest(tmp_path / "cut/0/checkpoints/best") == tmp_path / "cut/0/checkpoints/best/00000030"
    )
    together(tmp_path / "cut", *MEMBERS)
    same(tmp_path / "cut", tmp_path / "whole", 3)


def test_one_that_can_not_be_saved_when_stopped_leaves_the_others_alone(tmp_path, monkeypatch, capsys):
    def check():
        if Path(tmp_path / "0/metrics.csv").read_text().count("\n") > 1:
            raise Stopped(SIGTERM)

    def prepare(folder, *rest):
        if (tmp_path / "0") in folder.parents:
            raise Unwritable(28, "No space left on device", str(tmp_path / "0"))
        prepared(folder, *rest)

    prepared = checkpoint.prepare
    monkeypatch.setattr(checkpoint, "prepare", prepare)
    monkeypatch.setattr(batched, "stop_if_asked", check)
    own = ("trainer.checkpoint_every=99", "trainer.validate_every=99", "dataset.n_train=6400")
    with pytest.raises(Stopped):
        together(tmp_path, *[(f"seed={seed}", *own) for seed in range(3)])
    assert f"{tmp_path}/0: not saved: [Errno 28] No space left on device" in capsys.readouterr().err
    kept = [checkpoint.newest(tmp_path / run / "checkpoints" / "last") for run in "012"]
    assert [path and path.name for path in kept] == [None, "00000010", "00000010"]


def test_one_that_diverges_leaves_the_others_alone(tmp_path):
    members = (*MEMBERS, ("seed=3", "trainer.optimizer.lr=1e30", "trainer.warmup=0"))
    *fine, error = together(tmp_path / "b", *members)
    assert fine == [None] * 3
    assert isinstance(error, UserError)
    assert "non-finite" in str(error)
    assert json.loads((tmp_path / "b/3/run.json").read_text())["status"] == "diverged"
    alone(tmp_path / "a", *MEMBERS)
    for number in range(3):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", 1e-9)


def test_one_that_ends_sooner_leaves_the_others_alone(tmp_path):
    members = (*MEMBERS, ("seed=3", "trainer.max_steps=10"))
    assert together(tmp_path / "b", *members) == [None] * 4
    alone(tmp_path / "a", *members)
    for number in range(3):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", 1e-9)


def test_the_seconds_are_shared_by_those_that_train(tmp_path, monkeypatch):
    """By a clock that moves by a minute at each step: for ten steps three train, for twenty two."""
    minutes, step = itertools.count(1), batched.step
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)

    def timed(*given):
        clock.now = 60.0 * next(minutes)
        return step(*given)

    monkeypatch.setattr("flows.training.session.time", clock)
    monkeypatch.setattr(batched, "step", timed)
    together(tmp_path, *MEMBERS[:2], ("seed=2", "trainer.max_steps=10"))
    seconds = [json.loads((tmp_path / f"{k}/run.json").read_text())["seconds"] for k in range(3)]
    assert seconds == [200 + 600, 200 + 600, 200]


def test_one_that_ends_sooner_says_so_at_once(tmp_path, monkeypatch):
    step, seen = batched.step, {}

    def looking(joined, *rest):
        number = joined.runs[0].step
        seen[number] = json.loads((tmp_path / "1/run.json").read_text())["status"]
        return step(joined, *rest)

    monkeypatch.setattr(batched, "step", looking)
    together(tmp_path, ("seed=0",), ("seed=1", "trainer.max_steps=10"))
    assert (seen[9], seen[10]) == ("running", "finished")


def test_one_bar_shows_how_far_the_batch_is(tmp_path, monkeypatch):
    def act(terminal: int) -> None:
        with os.fdopen(terminal, "w", closefd=False) as stderr, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            together(tmp_path, ("seed=0", "trainer.max_steps=10"), ("seed=1",))

    lines = seen(act)
    assert lines[0].startswith("0/30 ")
    assert lines[-1].startswith("30/30 ")
    assert all("/30 " in line for line in lines)


def test_the_session_of_one_that_diverges_has_no_end(tmp_path):
    board = ("logger.tensorboard=true", "logger.figures=0")
    members = (board, ("seed=3", "trainer.optimizer.lr=1e30", "trainer.warmup=0", *board))
    together(tmp_path, *members)
    ended = [
        any(SESSION_END_INFO_TAG.encode() in file.read_bytes() for file in (tmp_path / run).rglob("events*"))
        for run in "01"
    ]
    assert ended == [True, False]


def test_one_whose_table_is_damaged_leaves_the_others_alone(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    (tmp_path / "1/metrics.csv").write_text("step,nll\nten,0.5\n")
    first, error, last = together(tmp_path, *MEMBERS)
    assert (first, last) == (None, None)
    assert "1/metrics.csv: damaged" in str(error)
    states = [json.loads((tmp_path / f"{k}/run.json").read_text())["status"] for k in range(3)]
    assert states == ["finished", "interrupted", "finished"]


def test_one_that_can_not_note_its_end_leaves_the_others_alone(tmp_path, monkeypatch):
    def unnoted(self, *rest):
        if self.run.players["model"].net is broken:
            raise Unwritable(5, "Input/output error", "run.json")
        note(self, *rest)

    note, concluded = Session._note, []
    monkeypatch.setattr(Session, "_note", unnoted)
    given = [train.prepare(config) for config in configs(tmp_path, *MEMBERS)]
    broken = given[1].model
    prepared = iter(given)
    errors = batched.train_all(
        configs(tmp_path, *MEMBERS), lambda _: next(prepared), concluded.append, size=64
    )
    assert [type(error) for error in errors] == [type(None), Unwritable, type(None)]
    assert [outcome.folder.name for outcome in concluded] == ["0", "2"]


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many runs each batch is."""
    sizes = []

    class Spy(batched.Together):  # pyright: ignore[reportGeneralTypeIssues] - final, but not for a spy
        def __init__(self, runs, *rest):
            sizes.append(len(runs))
            super().__init__(runs, *rest)

    monkeypatch.setattr(batched, "Together", Spy)
    return sizes


def test_what_differs_in_shape_trains_apart(tmp_path, monkeypatch):
    members = (("model.width=8",), ("model.width=12",), ("model.width=8", "seed=1"), ("dataset=circles",))
    sizes = spied(monkeypatch)
    assert together(tmp_path, *members) == [None] * 4
    assert sizes == [3, 1]


@final
class Odd(Likelihood):
    """Keeps one of its numbers as it was given."""

    def __init__(self, kept: float = 1.0, squared: float = 1.0, count: int = 1, flag: float = 1.0) -> None:
        self.kept = kept
        self.square = squared**2
        self.count = count
        self.flag = flag > 0


@pytest.mark.parametrize(
    ("one", "other", "as_one"),
    [
        ({"kept": 1.0}, {"kept": 2.0}, True),
        ({"kept": 1}, {"kept": 2}, True),  # as YAML has it, and as build makes floats of them
        ({"kept": 1}, {}, True),
        ({"squared": 2.0}, {"squared": 3.0}, False),
        ({"count": 1}, {"count": 2}, False),
        ({"flag": 1.0}, {"flag": -1.0}, False),
    ],
)
def test_only_numbers_that_the_objective_keeps_may_differ(one, other, as_one):
    shapes = []
    for own in (one, other):
        node = {"_target_": "flows.objectives.likelihood.Likelihood", **own}
        config = {"model": {}, "runtime": {}, "trainer": {"objective": node}}
        floats = {key: value if key == "count" else float(value) for key, value in own.items()}
        shapes.append(batched._shape(config, Odd(**floats)))
    assert (shapes[0] == shapes[1]) == as_one


def test_a_number_may_be_written_without_its_point(tmp_path, monkeypatch):
    sizes = spied(monkeypatch)
    own = ("trainer=wgan_gp", "trainer.objective.critic.width=8", "trainer.max_steps=3")
    members = [(*own, f"trainer.objective.alpha={value}") for value in ("100", "30")]
    alone(tmp_path / "a", *members)
    assert together(tmp_path / "b", *members) == [None] * 2
    assert sizes == [2]
    for number in range(2):
        agree(tmp_path / f"b/{number}", tmp_path / f"a/{number}", 1e-9, step=3)


def test_each_batch_has_the_threads_that_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.training.runtime.torch.set_num_threads", threads := Threads())
    monkeypatch.setattr("flows.training.facts.torch.get_num_threads", lambda: threads.now)
    members = [(f"runtime.threads={count}", "trainer.max_steps=1") for count in (1, 2, 1)]
    assert together(tmp_path, *members) == [None] * 3
    machines = [json.loads((tmp_path / f"{k}/run.json").read_text())["machine"] for k in range(3)]
    assert [machine["threads"] for machine in machines] == [1, 2, 1]


class Threads:
    """How many there are, where all of the process isn't to have them."""

    now = 0

    def __call__(self, count: int) -> None:
        self.now = count


def test_unequal_batches_train_apart(tmp_path):
    """Where there are fewer examples than a batch has, it is all of them."""
    members = (("dataset.n_train=16",), ("dataset.n_train=24",), ("trainer.batch_size=16",))
    assert together(tmp_path, *members) == [None] * 3


def test_what_cannot_be_opened_leaves_the_others_alone(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "mine.txt").write_text("keep me")
    first, error, last = together(tmp_path, *MEMBERS)
    assert (first, last) == (None, None)
    assert "not empty" in str(error)
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["mine.txt"]


def test_a_bug_in_the_batch_is_the_failure_of_all_its_runs(tmp_path, monkeypatch):
    def broken(*rest):
        raise RuntimeError("a bug")

    monkeypatch.setattr(batched, "step", broken)
    errors = together(tmp_path, *MEMBERS)
    assert [str(error) for error in errors] == ["a bug"] * 3
    assert json.loads((tmp_path / "2/run.json").read_text())["status"] == "interrupted"


@pytest.mark.parametrize("how", [alone, together])
def test_a_run_that_ends_well_has_failed_no_more(tmp_path, how):
    (tmp_path / "0").mkdir()
    (tmp_path / "0/error.txt").write_text("no\n")
    how(tmp_path, ("seed=0", "trainer.max_steps=1"))
    assert not (tmp_path / "0/error.txt").exists()


def test_what_has_ended_leaves_the_memory(tmp_path):
    models, there = [], []

    def prepare(config):
        session = train.prepare(config)
        models.append(weakref.ref(session.model))
        return session

    def conclude(_):
        gc.collect()
        there.append([model() is not None for model in models])

    members = [("trainer.max_steps=1",)] * 3
    assert batched.train_all(configs(tmp_path, *members), prepare, conclude, size=1) == [None] * 3
    assert there == [[True, True, True], [False, True, True], [False, False, True]]


def test_when_nobody_reads_what_is_printed_all_ends(tmp_path):
    def conclude(outcome):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        batched.train_all(configs(tmp_path, ("trainer.max_steps=1",)), train.prepare, conclude, size=64)


# The command


COMMAND = ("train.py", "-m", "hydra/launcher=batched")


def test_a_sweep_by_command(tmp_path):
    """One that diverges is told of by its own file and at the end; the others are put together."""
    lr = "trainer.optimizer.lr=1e-3,1e300"
    command = [sys.executable, *COMMAND, f"run_dir={tmp_path}/s", *TINY, "trainer.warmup=0", "seed=0,1", lr]
    done = subprocess.run(command, cwd=zoo.ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("#0 ")
    assert "0.001                      2 " in done.stdout
    assert "train.py: error: 2 of 4 jobs failed:" in done.stderr
    assert "Traceback" not in done.stderr
    for number in range(4):
        assert (tmp_path / f"s/{number}/error.txt").exists() == (number % 2 == 1)
        status = json.loads((tmp_path / f"s/{number}/run.json").read_text())["status"]
        assert status == ("diverged" if number % 2 else "finished")


PROGRAM = f"""
import sys
sys.path.insert(0, {str(zoo.ROOT)!r})
from flows.cli import entry
entry("config", train_many=lambda configs, size: [None] * len(configs))(print)()
"""


def test_a_reader_that_leaves_fails_no_job(tmp_path):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as unread:
        command = [sys.executable, "-c", PROGRAM, *COMMAND[1:], "run_dir=s", "seed=0,1"]
        done = subprocess.run(command, cwd=tmp_path, stdout=unread, stderr=-1, text=True)
    assert (done.returncode, done.stderr) == (141, "")
    assert not [*tmp_path.glob("s/*/error.txt")]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("hydra.launcher.size=0", "hydra.launcher.size=0: expected int >= 1"),
        ("+hydra.launcher.sise=4", "hydra.launcher.sise: no such key; did you mean size?"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, monkeypatch, capfd, argument, says):
    monkeypatch.setattr(sys, "argv", [*COMMAND, f"run_dir={tmp_path}/s", "seed=0,1", argument])
    with pytest.raises(SystemExit) as leaving:
        train.train()
    assert leaving.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"train.py: error: {says}")
    assert said.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", ["moons", "xyrgb", "iris", "grf"])
def test_runs_of_a_batch_share_their_examples(name):
    """In one precision on one device there is one copy, for as long as anybody has it."""
    dataset = composed.dataset(f"dataset={name}")
    double, part = (torch.device("cpu"), torch.float64), "train" if name != "grf" else "val"
    single = (torch.device("cpu"), torch.float32)
    moved = dataset.source(part).to(*single)
    assert dataset.source(part).to(*single) is moved
    assert dataset.source(part).to(*double) is not moved
    gone = weakref.ref(moved)
    del moved
    assert gone() is None


@suppress_type_checks  # of a session that is none
def test_what_is_raised_among_open_members_is_not_taken_for_one_s_own():
    member = Member(SimpleNamespace(held=nullcontext))
    with pytest.raises(MemoryError), member.held():
        raise MemoryError
    assert member.error is None
