"""A job that fails says so where it ran, and ends no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from flows.errors import UserError
from flows.sweeps.job import begin, fail
from flows.training.folder import Folder


def odd_ones_fail(config):
    """Jobs of even width write a file; that of width 5 is refused, others meet a bug."""
    width = config["model"]["width"]
    if width == 5:
        raise UserError("width 5\ncan't work")
    if width % 2:
        raise KeyError("a\nbug")
    Path(config["run_dir"], "config.yaml").write_text("{}")


def test_the_others_go_on_and_the_status_is_1(sweep, tmp_path):
    said = sweep("model.width=4,5,6,7,8", "model.layers=2", task=odd_ones_fail)
    assert said.status == 1
    assert said.out.splitlines()[:5] == [f"#{k} model.width={k + 4} model.layers=2" for k in range(5)]
    assert [(tmp_path / f"s/{k}/config.yaml").exists() for k in range(5)] == [True, False, True, False, True]
    assert [(tmp_path / f"s/{k}/error.txt").exists() for k in range(5)] == [False, True, False, True, False]
    assert "train.py: error: #1 model.width=5 model.layers=2: width 5 can't work\n" in said.err
    assert said.err.splitlines()[-3:] == [
        "train.py: error: 2 of 5 jobs failed:",
        "#1 model.width=5: width 5 can't work",
        "#3 model.width=7: KeyError: 'a\\nbug'",
    ]


def test_a_refusal_is_one_line_and_a_bug_keeps_its_traceback(sweep, tmp_path):
    said = sweep("model.width=5,7", task=odd_ones_fail)
    assert (tmp_path / "s/0/error.txt").read_text() == "width 5 can't work\n"
    reason, empty, *trace = (tmp_path / "s/1/error.txt").read_text().splitlines()
    assert (reason, empty) == ("KeyError: 'a\\nbug'", "")
    assert trace[0] == "Traceback (most recent call last):"
    assert any("odd_ones_fail" in line for line in trace)
    assert said.err.count("Traceback") == 1
    assert yaml.safe_load((tmp_path / "s/1/overrides.yaml").read_text()) == ["run_dir=s", "model.width=7"]


def test_too_little_memory_is_one_line(sweep, tmp_path):
    def task(config):
        raise MemoryError

    assert sweep("seed=0,1", task=task).status == 1
    assert (tmp_path / "s/0/error.txt").read_text().startswith("not enough memory for this")


def test_all_fine_is_0(sweep):
    said = sweep("model.width=4,6", task=odd_ones_fail)
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("wrong", ["model.width=4,wide", "model.width=4,${nothing}", "model.widht=4,6"])
def test_what_the_check_finds_runs_nothing(sweep, tmp_path, wrong):
    said = sweep(wrong, task=odd_ones_fail)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("values", ["range(0)", "range(3,3)"])
def test_a_sweep_over_no_values_is_refused(sweep, tmp_path, values):
    said = sweep(f"seed={values}", task=odd_ones_fail)
    assert said.status == 2
    assert said.err == f"train.py: error: seed={values}: no values, so there is nothing to run\n"
    assert not (tmp_path / "s").exists()


def test_a_sweep_in_a_runs_folder_is_refused(sweep, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/run.json").write_text("{}")
    said = sweep("model.width=4,6", task=odd_ones_fail)
    assert (said.status, said.out) == (2, "")
    assert said.err == "train.py: error: run_dir=s: a run's directory; give the sweep one of its own\n"
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["run.json"]


def test_an_interrupt_ends_all(sweep, tmp_path):
    def task(config):
        raise KeyboardInterrupt

    said = sweep("seed=0,1", task=task)
    assert (said.status, said.err) == (130, "train.py: interrupted\n")
    assert not (tmp_path / "s/1").exists()


def test_a_job_that_is_mended_has_failed_no_more(sweep, tmp_path):
    def fails(config):
        raise UserError("no")

    assert sweep("seed=0,1", task=fails).status == 1
    Folder(tmp_path / "s/0").check({}, "hash")  # a run may begin there all the same
    assert sweep("seed=0,1", task=lambda _: None).status == 0
    assert not [*(tmp_path / "s").glob("*/error.txt")]


def test_a_run_that_another_command_still_trains_has_not_failed(sweep, tmp_path):
    def task(config):
        with Folder(config["run_dir"]).held():
            pass

    with Folder(tmp_path / "s/0").held():
        said = sweep("seed=0,1", task=task)
    reason = f"s/0: process {os.getpid()} is training here"
    assert said.status == 1
    assert said.err.splitlines() == [
        f"train.py: error: #0 seed=0: {reason}",
        "train.py: error: 1 of 2 jobs failed:",
        f"#0 seed=0: {reason}",
    ]
    assert not (tmp_path / "s/0").exists() or not [*(tmp_path / "s/0").iterdir()]
    assert (tmp_path / "s/1/overrides.yaml").exists()


def test_a_job_killed_while_it_noted_something_begins_anew(sweep, tmp_path):
    (tmp_path / "s/0").mkdir(parents=True)
    (tmp_path / "s/0/.overrides.yaml.77.tmp").write_text("- seed=")
    assert sweep("seed=0,1", task=lambda _: None).status == 0
    assert [path.name for path in (tmp_path / "s/0").iterdir()] == ["overrides.yaml"]


def test_a_lock_that_leads_elsewhere_is_not_written_through(sweep, tmp_path):
    (tmp_path / "s/0").mkdir(parents=True)
    (tmp_path / "mine.txt").write_text("keep me")
    (tmp_path / "s/0/.lock").symlink_to(tmp_path / "mine.txt")
    assert sweep("seed=0,1", task=lambda _: None).status == 1
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_nothing_is_written_beside_the_files_of_others(tmp_path):
    names = {"error.txt.mine", ".thesis.docx.77.tmp", ".error.txt.77.tmp"}
    for name in names:
        (tmp_path / name).touch()
    begin(tmp_path, ["seed=1"])
    assert fail(tmp_path, "no").reason == "no"
    assert {path.name for path in tmp_path.iterdir()} == names
    with pytest.raises(UserError, match="not empty and not a run's directory"):
        Folder(tmp_path).check({}, "hash")
