"""Row 36: a run directory may be moved, copied and given away; a clock may be set back."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import hasty
import pytest
from lives import live
from runs import KINDS, differences, increasing
from tricks import at, dead_at, nobody

ARGUMENTS = (*KINDS["realnvp"], "run_dir=run")
DEAD = dead_at("flows.training.trainer:Trainer.look_up", 10)


def in_a_hurry():
    """A trick: a report that looks fewer times."""
    hasty.hurry(pytest.MonkeyPatch())


def test_row_36_a_run_that_is_moved_is_carried_on_and_evaluated(tmp_path, whole):
    assert live(*ARGUMENTS, cwd=tmp_path, tricks=[DEAD]).status == 9
    moved = tmp_path / "elsewhere" / "deep"
    moved.mkdir(parents=True)
    (tmp_path / "run").rename(moved / "other")
    (moved / "other" / ".lock").unlink()
    here = [path for path in (moved / "other").rglob("*") if path.is_file()]
    assert here
    assert [path for path in here if str(tmp_path).encode() in path.read_bytes()] == []
    again = live(*KINDS["realnvp"], "run_dir=other", cwd=moved)
    assert again.status == 0, again.err
    assert differences(moved / "other", whole()) == []
    judged = live("task=sample", "run=other", "output=a.csv", "n=5", cwd=moved, program="evaluate")
    assert judged.status == 0, judged.err
    assert len((moved / "a.csv").read_text().splitlines()) == 6
    judged = live("run=other", "points=50", cwd=moved, program="evaluate", tricks=[in_a_hurry])
    assert judged.status == 0, judged.err
    ended = [path for path in (moved / "other").rglob("*") if path.is_file()]
    assert {"report.html", "metrics.json"} <= {path.name for path in ended}
    assert [path for path in ended if str(tmp_path).encode() in path.read_bytes()] == []


def test_row_36_a_clock_set_back_changes_nothing(tmp_path, whole):
    """Files of earlier lives bear times to come, and TensorBoard reads them in the order of these."""
    run = tmp_path / "run"
    for seconds in ("9999999998", "9999999999"):
        assert live(*ARGUMENTS, cwd=tmp_path, tricks=[DEAD]).status == 9
        for path in [*run.rglob("*")]:
            os.utime(path, (4e9, 4e9))
        newest = max((run / "tensorboard").iterdir(), key=lambda path: path.name)
        *_, rest = newest.name.split(".", 4)
        newest.rename(newest.with_name(f"events.out.tfevents.{seconds}.{rest}"))
    again = live(*ARGUMENTS, cwd=tmp_path)
    assert again.status == 0, again.err
    assert differences(run, whole()) == []
    assert increasing(run)


def test_row_36_another_user_reads_and_carries_on_a_copy(tmp_path, whole):
    if os.getuid() != 0:
        pytest.skip("may not become another user")
    shutil.copytree(whole(), tmp_path / "theirs")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    away = tmp_path / "away"
    away.mkdir(mode=0o777)
    away.chmod(0o777)
    tricks = [partial(at, "flows.evaluation.tasks:import_module", 1, nobody)]
    judged = live(
        *("task=sample", "run=theirs", "output=away/a.csv", "n=5"),
        cwd=tmp_path,
        program="evaluate",
        tricks=tricks,
    )
    assert judged.status == 0, judged.err
    assert (away / "a.csv").stat().st_uid == 65534
    for path in (tmp_path / "theirs", *(tmp_path / "theirs").rglob("*")):
        os.chown(path, 65534, 65534)
    tricks = [
        partial(at, "flows.training.session:Session.opened", 1, nobody),
        partial(
            at, "flows.training.session:Session.outcome", 1, partial(os.seteuid, 0)
        ),  # who sees our Python
    ]
    again = live(*KINDS["realnvp"], "trainer.max_steps=30", "run_dir=theirs", cwd=tmp_path, tricks=tricks)
    assert again.status == 0, again.err
    assert Path(tmp_path, "theirs", "checkpoints", "last", "00000030").stat().st_uid == 65534
