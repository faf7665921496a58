"""Rows 3 and 4: whoever is asked to stop saves after a whole step, and carries on bit-equal."""

from __future__ import annotations

import shutil
from functools import partial
from signal import SIG_IGN, SIGINT, SIGTERM, getsignal, signal

import pytest
from lives import live
from runs import KINDS, differences, facts, leftovers, step
from tricks import tell, told_at

from flows.signals import Stopped, heeded, stop_if_asked
from flows.training import checkpoint

PHASES = {
    "training": ("flows.training.run:Run.end_turn", 11),
    "validation": ("flows.training.validation:Validation.__call__", 2),
    "within validation": ("flows.training.run:Run.spread", 14),
    "saving": ("flows.training.checkpoint:write_through", 10),
    "loading": ("flows.training.fingerprint:fingerprint", 1),
}


QUICK = ("training", "validation", "loading")


@pytest.mark.parametrize(
    "phase", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PHASES]
)
def test_row_03_sigterm_saves_after_a_whole_step_and_the_run_ends_bit_equal(kind, phase, tmp_path, whole):
    end = live(*KINDS[kind], "run_dir=run", cwd=tmp_path, tricks=[told_at(*PHASES[phase], SIGTERM)])
    assert end.status == 143
    assert "Traceback" not in end.err
    assert end.err.splitlines()[-1] == "train.py: terminated"
    run = tmp_path / "run"
    if phase == "loading":
        assert not run.exists()  # there was nothing to save
    else:
        assert f"stopped at step {step(run)}, saved; the same command carries on" in end.err
        assert (facts(run)["status"], facts(run)["step"]) == ("interrupted", step(run))
        assert leftovers(run) == []
        seen = checkpoint.read(checkpoint.at(run / "checkpoints" / "last", step(run))).state["seen"]
        given_up = {"validation": (1,), "within validation": (0, 1)}.get(phase, (0,))  # last block or not
        assert step(run) - seen in given_up  # what is given up is done by the next life
    again = live(*KINDS[kind], "run_dir=run", cwd=tmp_path)
    assert again.status == 0, again.err
    assert differences(run, whole(kind)) == []


@pytest.mark.parametrize(
    "place", ["measure:log_prob", pytest.param("judge:discrepancies", marks=pytest.mark.slow)]
)
def test_row_03_sigterm_in_evaluation_leaves_no_half_report(place, tmp_path, whole):
    shutil.copytree(whole(), tmp_path / "run")
    tricks = [told_at(f"flows.evaluation.{place}", 1, SIGTERM)]
    end = live("run=run", "points=60", cwd=tmp_path, program="evaluate", tricks=tricks)
    said = "run: measuring\nevaluate.py: terminated\n"
    assert (end.status, end.err, end.out) == (143, said, "")
    assert [*(tmp_path / "run" / "evaluation").iterdir()] == []


TASKS = {
    "sample": ("realnvp", ("n=100",), ("samples", "_table")),
    "score": ("realnvp", ("input=a.csv",), ("log_prob", "content")),
    "impute": ("masked_transformer", ("input=a.csv",), ("quantise", "content")),
    "members": ("wgan_gp", ("n=2",), ("draw", "encoded")),
}
TASK = [pytest.param(task, marks=pytest.mark.slow if task == "members" else ()) for task in TASKS]


@pytest.mark.parametrize("when", [0, 1], ids=["drawing", "before it is written"])
@pytest.mark.parametrize("task", TASK)
def test_row_03_sigterm_in_any_task_leaves_no_file(task, when, tmp_path, whole):
    kind, arguments, places = TASKS[task]
    shutil.copytree(whole(kind), tmp_path / "run")
    (tmp_path / "a.csv").write_text("x,y\n0.5,0.25\n" + ("1.0,\n" if task == "impute" else ""))
    name = "sample" if task == "members" else task
    told = (f"task={name}", "run=run", f"output=b.{'nc' if task == 'members' else 'csv'}", *arguments)
    # the second lattice of `impute` is that of what it has drawn
    call = 2 if places[when] == "quantise" else 1
    tricks = [told_at(f"flows.evaluation.tasks.{name}:{places[when]}", call, SIGTERM)]
    end = live(*told, cwd=tmp_path, program="evaluate", tricks=tricks)
    assert (end.status, end.err, end.out) == (143, "evaluate.py: terminated\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "run"]


@pytest.mark.slow
def test_row_03_sigterm_while_a_report_is_written_comes_too_late(tmp_path, whole):
    shutil.copytree(whole(), tmp_path / "run")
    tricks = [told_at("flows.evaluation.tasks.report:_write_figures", 1, SIGTERM)]
    end = live("run=run", "points=60", cwd=tmp_path, program="evaluate", tricks=tricks)
    assert end.status == 0, end.err
    written = {path.name for path in (tmp_path / "run" / "evaluation").iterdir()}
    assert {"report.html", "metrics.json", "metrics.csv", "loss.png"} <= written


def test_row_04_sigint_is_as_sigterm_with_another_status(tmp_path, whole):
    end = live(*KINDS["realnvp"], "run_dir=run", cwd=tmp_path, tricks=[told_at(*PHASES["training"], SIGINT)])
    assert end.status == 130
    assert end.err == "stopped at step 11, saved; the same command carries on\ntrain.py: interrupted\n"
    assert step(tmp_path / "run") == 11
    assert live(*KINDS["realnvp"], "run_dir=run", cwd=tmp_path).status == 0
    assert differences(tmp_path / "run", whole()) == []


@pytest.mark.parametrize(
    ("place", "call", "kept"),
    [(*PHASES["training"], 8), ("flows.training.checkpoint:write_through", 15, 6)],
    ids=["step", "saving"],
)
def test_row_04_a_second_sigint_aborts_without_damage(place, call, kept, tmp_path, whole):
    tricks = [told_at(place, call, SIGINT, SIGINT)]
    end = live(*KINDS["realnvp"], "run_dir=run", cwd=tmp_path, tricks=tricks)
    assert end.status == 130
    assert "saved" not in end.err
    assert "Traceback" not in end.err
    run = tmp_path / "run"
    assert step(run) == kept  # as the last whole checkpoint has it
    assert leftovers(run) == []
    assert live(*KINDS["realnvp"], "run_dir=run", cwd=tmp_path).status == 0
    assert differences(run, whole()) == []


def test_row_03_what_is_ignored_stays_ignored(tmp_path):
    """As nohup and shells' background jobs want it."""
    ignoring = partial(signal, SIGINT, SIG_IGN)
    tricks = [ignoring, told_at(*PHASES["training"], SIGINT)]
    assert live(*KINDS["realnvp"], "run_dir=run", cwd=tmp_path, tricks=tricks).status == 0


def test_row_03_handlers_are_given_back():
    before = getsignal(SIGINT), getsignal(SIGTERM)
    with pytest.raises(Stopped), heeded():
        assert getsignal(SIGTERM) not in before
        tell(SIGTERM)
        stop_if_asked()
    assert (getsignal(SIGINT), getsignal(SIGTERM)) == before
    stop_if_asked()  # asked no more
