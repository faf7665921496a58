"""A run's directory and its life: claimed, carried on, extended, refused; and what is said at the end."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
import small
import torch
import yaml
import zoo
from hydra.core.override_parser.overrides_parser import OverridesParser

import flows
from flows import signals
from flows.errors import UserError
from flows.models.realnvp import realnvp
from flows.training import checkpoint, facts
from flows.training.folder import Folder
from flows.training.monitor import Logger
from flows.training.outcome import Outcome
from flows.training.session import Session, carry_out
from flows.training.table import read
from flows.training.trainer import Trainer

DATA = small.dataset()


class Stopped(Exception):
    """As if someone had pressed Ctrl-C."""


def session(
    folder: Path,
    trainer: Trainer | None = None,
    show: Logger = small.QUIET,
    data_hash: str = "d0",
    **keys: Any,
) -> Outcome:
    """One command's worth of training; `keys` are more of its configuration."""
    trainer = trainer or small.trainer()
    config = {"seed": 0, "run_dir": str(folder), "init_from": None, "model": {"width": 32}}
    config["trainer"] = {key: getattr(trainer, key) for key in ("max_steps", "keep", "checkpoint_every")}
    torch.manual_seed(0)
    model = realnvp(DATA.spec, layers=2, width=32)
    return carry_out(Session(config | keys, model, DATA, trainer, small.RUNTIME, show, data_hash))


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def at_step(trainer: Trainer, step: int, act: Any) -> Trainer:
    """Once, before the turn after `step`, do something to the run."""
    take_turn, done = trainer.take_turn, []

    def turn(run):
        if run.step == step and not done:
            done.append(step)
            act(run)
        take_turn(run)

    trainer.take_turn = turn
    return trainer


def stop(_):
    raise Stopped


def poison(run):
    run.stream.source.x = run.stream.source.x * float("nan")


def test_what_a_run_was_made_of_is_saved(tmp_path):
    outcome = session(tmp_path / "run")
    saved = record(tmp_path / "run")
    assert set(saved) == {
        *("command", "commit", "versions", "machine", "seed", "data_hash", "spec", "compiled"),
        "captured",
        *("status", "step", "steps", "seconds"),
    }
    assert saved["versions"]["torch"] == torch.__version__
    assert (
        saved["versions"]["flowlab"]
        == tomllib.loads((zoo.ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    assert saved["machine"]["threads"] == torch.get_num_threads()
    assert saved["commit"] == facts.commit()
    assert (saved["seed"], saved["data_hash"]) == (0, "d0")
    assert saved["spec"]["names"] == [*DATA.spec.names]
    assert (saved["status"], saved["step"], saved["steps"]) == ("finished", 40, 40)
    assert "run_dir" not in yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())  # it may be moved
    assert outcome.scores.keys() == {"val_nll", "val_kl_to_truth"}


def test_the_scores_are_those_of_the_best_checkpoint(tmp_path):
    outcome = session(tmp_path, small.trainer(max_steps=50, lr=0.5, decay="constant"))  # gets worse again
    scores = [float(row["val_nll"]) for row in read(tmp_path / "metrics.csv") if row["val_nll"]]
    assert min(scores) < scores[-1]
    assert outcome.scores["val_nll"] == pytest.approx(min(scores), abs=1e-6)
    assert outcome.best == 10 * (1 + scores.index(min(scores)))


def test_status_of_a_run_that_finishes(tmp_path):
    seen = []
    trainer = at_step(small.trainer(), 5, lambda _: seen.append(record(tmp_path)))
    session(tmp_path, trainer)
    assert [(facts["status"], facts["steps"]) for facts in seen] == [("running", 40)]
    assert record(tmp_path)["status"] == "finished"


def test_status_of_a_run_that_stops_early(tmp_path):
    session(tmp_path, small.trainer(lr=0.0, patience=2))
    assert (record(tmp_path)["status"], record(tmp_path)["step"]) == ("stopped early", 30)


def test_status_of_a_run_that_diverges(tmp_path):
    with pytest.raises(UserError, match="non-finite at step 24"):
        session(tmp_path, at_step(small.trainer(), 23, poison))
    assert record(tmp_path)["status"] == "diverged"
    assert record(tmp_path)["seconds"] > 0


def test_an_interrupted_run_carries_on_and_its_seconds_add_up(tmp_path):
    with pytest.raises(Stopped):
        session(tmp_path, at_step(small.trainer(), 25, stop))
    first = record(tmp_path)
    assert (first["status"], first["step"]) == ("interrupted", 25)
    (tmp_path / "run.json").write_text(json.dumps(first | {"seconds": 1000.0}))
    session(tmp_path)
    saved = record(tmp_path)
    assert (saved["status"], saved["step"]) == ("finished", 40)
    assert saved["seconds"] >= 1000.0
    assert "resumed" not in saved  # nothing had changed
    steps = [row["step"] for row in read(tmp_path / "metrics.csv")]
    assert steps == ["10", "20", "30", "40"]


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = session(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert session(tmp_path, show=Logger(tensorboard=False)).scores == first.scores
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_larger_budget_extends_and_what_changed_is_noted(tmp_path, monkeypatch):
    for steps in (40, 60, 80):
        monkeypatch.setattr(sys, "argv", ["train.py", f"trainer.max_steps={steps}"])
        session(tmp_path, small.trainer(max_steps=steps))
    saved = record(tmp_path)
    assert (saved["status"], saved["step"], saved["steps"]) == ("finished", 80, 80)
    assert saved["command"] == "python train.py trainer.max_steps=40"
    assert saved["resumed"] == [
        {"step": 40, "command": "python train.py trainer.max_steps=60"},
        {"step": 60, "command": "python train.py trainer.max_steps=80"},
    ]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["trainer"]["max_steps"] == 80


def test_a_budget_is_fixed_once(tmp_path):
    """Not again when a run is cut short before its first checkpoint, nor lost when an extension is."""
    with pytest.raises(Stopped):
        session(tmp_path, at_step(small.trainer(), 5, stop))
    slower = small.trainer()
    slower.budget = lambda run, validation: 13  # as seconds might come to
    session(tmp_path, slower)
    assert record(tmp_path)["step"] == 40
    with pytest.raises(Stopped):
        session(tmp_path, at_step(small.trainer(max_steps=60), 45, stop))
    session(tmp_path, small.trainer(max_steps=60))
    assert record(tmp_path)["step"] == 60


def test_a_smaller_budget_is_refused_and_nothing_is_touched(tmp_path):
    session(tmp_path)
    before = (tmp_path / "config.yaml").read_bytes(), record(tmp_path)
    with pytest.raises(UserError, match="its budget was 40 steps and this one is 20"):
        session(tmp_path, small.trainer(max_steps=20))
    assert ((tmp_path / "config.yaml").read_bytes(), record(tmp_path)) == before


def test_any_other_difference_is_refused_and_named(tmp_path):
    session(tmp_path)
    before = (tmp_path / "config.yaml").read_bytes(), record(tmp_path)
    with pytest.raises(UserError) as error:
        session(tmp_path, small.trainer(max_steps=60), data_hash="d1", seed=1, model={"width": 64})
    for difference in (
        "seed is 0 there and 1 here",
        "model.width is 32 there and 64 here",
        "its training data was another",
    ):
        assert difference in str(error.value)
    assert "max_steps" not in str(error.value)
    assert ((tmp_path / "config.yaml").read_bytes(), record(tmp_path)) == before


def test_what_makes_no_difference_is_free(tmp_path):
    session(tmp_path, small.trainer(keep=1), logger={"figures": 0}, runtime={"device": "cpu"})
    with pytest.raises(UserError, match=r"runtime\.dtype"):
        session(tmp_path, runtime={"device": "cpu", "dtype": "float64"})
    session(
        tmp_path, small.trainer(max_steps=60, keep=3), runtime={"device": "cuda"}, trusted_packages=["mine"]
    )
    assert record(tmp_path)["step"] == 60


def test_checkpoints_may_be_written_more_often_and_no_bit_depends_on_it(tmp_path):
    session(tmp_path / "whole")
    with pytest.raises(Stopped):
        session(tmp_path / "run", at_step(small.trainer(), 25, stop))
    with pytest.raises(Stopped):
        session(tmp_path / "run", at_step(small.trainer(checkpoint_every=3), 35, stop))
    assert checkpoint.newest(tmp_path / "run" / "checkpoints" / "last").name == "00000033"
    session(tmp_path / "run", small.trainer(checkpoint_every=7))
    for kind in ("last", "best"):
        ours, theirs = (checkpoint.find(tmp_path / run / "checkpoints" / kind) for run in ("run", "whole"))
        assert ours.path.name == theirs.path.name
        assert ours.content.state == theirs.content.state
        for name, tensors in theirs.content.tensors.items():
            assert all(torch.equal(ours.content.tensors[name][key], value) for key, value in tensors.items())


def test_weights_that_cannot_be_had_leave_the_folder_free(tmp_path):
    with pytest.raises(UserError, match="not a run's directory"):
        session(tmp_path / "run", init_from=str(tmp_path / "nowhere"))
    assert not (tmp_path / "run").exists()
    session(tmp_path / "run")


def test_extended_weights_go_on_from_where_they_stood(tmp_path):
    """In two parts with a constant rate, or in one: the same weights."""
    for folder, budgets in (("parts", (30, 60)), ("whole", (60,))):
        for steps in budgets:
            session(tmp_path / folder, small.trainer(max_steps=steps, decay="constant"))
    ours, theirs = (
        checkpoint.read(tmp_path / folder / "checkpoints" / "last" / "00000060").tensors["model"]
        for folder in ("parts", "whole")
    )
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


# The commit


def test_commit_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert facts.commit() is None
    (tmp_path / "code.py").write_text("a = 1\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = facts.commit()
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "notes.txt").write_text("not code\n")
    assert facts.commit() == clean
    (tmp_path / "code.py").write_text("a = 2\n")
    assert facts.commit() == f"{clean}+changes"


# The last line


def test_the_last_line_says_it_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.training.outcome._EVALUATE", tmp_path / "evaluate.py")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none" / "python"))
    outcome = Outcome(tmp_path / "outputs" / "a", 40, {"nll": 0.30251, "kl_to_truth": 0.0125}, best=40)
    line = "nll 0.3025  kl_to_truth 0.0125 | run outputs/a | python evaluate.py run=outputs/a"
    assert str(outcome) == f"{line} | tensorboard --logdir outputs/a"
    assert str(outcome._replace(board=False)) == line
    assert str(outcome._replace(scores={})).startswith("40 steps | run outputs/a | ")
    worse = outcome._replace(best=8)  # it was overfitting for most of the time
    assert "best" not in str(outcome._replace(best=0))  # no score was finite
    assert str(worse).startswith("nll 0.3025  kl_to_truth 0.0125  best at step 8 of 40 | run outputs/a | ")


def test_a_path_is_relative_where_that_is_shorter(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["deeper"] * 40)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert f"run {tmp_path / 'run'} |" in str(Outcome(tmp_path / "run", 1, {}, best=1))
    assert "run ../run |" in str(Outcome(deep.parent / "run", 1, {}, best=1))


def test_programs_are_named_so_that_a_shell_finds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "tensorboard"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    line = str(Outcome(Path("a"), 1, {}, best=1))
    assert " | .venv/bin/python " in line
    assert " | .venv/bin/tensorboard --logdir a" in line
    monkeypatch.setenv("PATH", str(programs))
    line = str(Outcome(Path("a"), 1, {}, best=1))
    assert " | python " in line
    assert " | tensorboard --logdir a" in line


@pytest.mark.parametrize(
    "name", ["a", "my run", "a,b", "x=1", "{a}", "it's", 'the "best"', "naïve", "a:b;c&d"]
)
def test_commands_can_be_pasted_whatever_the_folder_is_called(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, where, evaluate, board = map(shlex.split, str(Outcome(tmp_path / name, 1, {}, best=1)).split(" | "))
    assert where == ["run", name]
    assert board[1:] == ["--logdir", name]
    (override,) = OverridesParser.create().parse_overrides(evaluate[2:])
    assert (override.key_or_group, override.value()) == ("run", name)


def test_two_processes_never_share_a_folder(tmp_path):
    session(tmp_path)
    with (
        Folder(tmp_path).held(),
        pytest.raises(UserError, match=rf"process {os.getpid()} is training here"),
    ):
        session(tmp_path, small.trainer(max_steps=60))
    session(tmp_path, small.trainer(max_steps=60))  # given back


def test_what_was_half_written_when_a_run_was_killed_is_swept(tmp_path):
    (tmp_path / ".config.yaml.77.tmp").write_text("seed:")
    session(tmp_path)
    (tmp_path / ".run.json.77.tmp").write_text("{")
    session(tmp_path)
    assert not [*tmp_path.glob(".*")]


@pytest.mark.parametrize("harm", ["flipped", "deleted"])
def test_without_a_whole_last_checkpoint_the_best_carries_the_run_on(tmp_path, harm):
    session(tmp_path / "whole")
    with pytest.raises(Stopped):
        session(tmp_path / "hurt", at_step(small.trainer(), 25, stop))
    last, best = (tmp_path / "hurt" / "checkpoints" / kind for kind in ("last", "best"))
    reached = checkpoint.newest(best).name
    if harm == "deleted":
        shutil.rmtree(last)
    else:
        file = checkpoint.newest(last) / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    trainer, steps = small.trainer(), []
    take_turn = trainer.take_turn
    trainer.take_turn = lambda run: (steps.append(run.step), take_turn(run))
    session(tmp_path / "hurt", trainer)
    assert steps[0] == int(reached) > 0
    end = Path("checkpoints", "last", "00000040")
    ours, theirs = (checkpoint.read(tmp_path / run / end) for run in ("hurt", "whole"))
    assert all(torch.equal(t, theirs.tensors["model"][name]) for name, t in ours.tensors["model"].items())


def test_a_damaged_checkpoint_is_said_and_the_one_before_taken(tmp_path, capsys):
    trainer = small.trainer(keep=2)
    session(tmp_path, trainer)
    (tmp_path / "checkpoints" / "last" / "00000040" / "model.safetensors").write_bytes(b"")
    session(tmp_path, small.trainer(keep=2))
    assert "00000040: damaged; carrying on from step 30" in capsys.readouterr().err
    assert checkpoint.newest(tmp_path / "checkpoints" / "last").name == "00000040"


@pytest.mark.parametrize(
    ("lr", "best", "said"), [(1e-2, 40, "written anew"), (0.0, 10, "looking for the best anew from step 40")]
)
def test_a_damaged_best_checkpoint_is_said(tmp_path, capsys, lr, best, said):
    session(tmp_path, small.trainer(lr=lr))
    path = tmp_path / "checkpoints" / "best" / f"{best:08d}"
    (path / "model.safetensors").write_bytes(b"")
    session(tmp_path, small.trainer(lr=lr))
    assert capsys.readouterr().err == f"{path}: damaged; {said}\n"


@pytest.mark.parametrize(("kind", "call"), [("last", 1), ("best", 2)])
def test_a_checkpoint_that_can_not_be_read_stops_the_command_and_stays(tmp_path, monkeypatch, kind, call):
    """Which says nothing of what it holds: the disk may be back in an hour."""
    session(tmp_path, small.trainer(keep=2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    opened, path = Path.open, checkpoint.newest(tmp_path / "checkpoints" / kind)

    def failing(self, *how, **more):
        if self.parent == path:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return opened(self, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        with pytest.raises(UserError, match=rf"{path}/.*: can't be read \(Input/output error\); nothing was"):
            session(tmp_path, small.trainer(keep=2, max_steps=60))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    session(tmp_path, small.trainer(keep=2, max_steps=60))
    assert record(tmp_path)["step"] == 60


@pytest.mark.parametrize(
    ("act", "step", "said"),
    [
        (lambda run: None, 0, "stopped at step 0; the same command begins anew\n"),
        (lambda run: None, 5, "stopped at step 5, saved; the same command carries on\n"),
        (poison, 5, "stopped at step 6, not saved, for it became non-finite at step 6; lower trainer."),
    ],
)
def test_what_is_said_of_a_run_that_is_stopped_is_true(tmp_path, monkeypatch, capsys, act, step, said):
    trainer = at_step(small.trainer(), step, act)
    looks = iter(range(step + 3))

    def check():
        if next(looks) == step + (act is poison):
            raise signals.Stopped(Signals.SIGINT)

    monkeypatch.setattr("flows.training.trainer.stop_if_asked", check)
    with pytest.raises(signals.Stopped):
        session(tmp_path, trainer)
    assert capsys.readouterr().err.startswith(said)
    assert (checkpoint.newest(tmp_path / "checkpoints" / "last") is not None) == ("5, saved" in said)


def test_a_run_without_a_best_names_its_last_checkpoint(tmp_path):
    with pytest.raises(Stopped):
        session(tmp_path, at_step(small.trainer(checkpoint_every=3), 5, stop), dataset={})
    with pytest.raises(UserError, match=r"in checkpoints/best; checkpoint=last has that of step 3$"):
        flows.load(tmp_path)
    with pytest.raises(UserError, match=r"^checkpoint=bset: no such checkpoint; did you mean best\?"):
        flows.load(tmp_path, "bset")


def test_the_run_it_began_from_may_be_gone_when_it_is_carried_on(tmp_path):
    session(tmp_path / "first", dataset={}, model={})
    origin = str(tmp_path / "first")
    with pytest.raises(Stopped):
        session(tmp_path / "next", at_step(small.trainer(), 15, stop), init_from=origin)
    shutil.rmtree(tmp_path / "first")
    session(tmp_path / "next", init_from=origin)
    assert record(tmp_path / "next")["status"] == "finished"


def test_a_larger_budget_can_not_extend_a_run_whose_patience_is_spent(tmp_path):
    session(tmp_path, small.trainer(lr=0.0, patience=2, max_steps=100))
    with pytest.raises(UserError, match="stopped early at step 30"):
        session(tmp_path, small.trainer(lr=0.0, patience=2, max_steps=200))


def test_a_record_that_is_damaged_is_said_in_one_line(tmp_path):
    session(tmp_path)
    for name, text in (("config.yaml", ""), ("config.yaml", "a: ["), ("run.json", "{")):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=name):
            session(tmp_path)
        (tmp_path / name).write_text(kept)
