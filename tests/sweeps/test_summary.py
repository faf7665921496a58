"""A sweep's summary: from folders however far their runs came, and whoever wrote them."""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli import entry
from flows.errors import UserError
from flows.sweeps.evaluate import put_together
from flows.sweeps.job import begin, fail
from flows.sweeps.summary import Summary

CONFIG = {
    "dataset": {"_target_": "data.toys.moons", "seed": 0},
    "model": {"_target_": "flows.models.realnvp.realnvp", "width": 8},
    "seed": 0,
}


def run(
    sweep: Path,
    number: int,
    overrides: list[str] | None,
    score: float | None = None,
    status: str = "finished",
    error: str = "",
    config: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
) -> Path:
    """A folder as a job leaves it."""
    folder = sweep / str(number)
    folder.mkdir(parents=True)
    if overrides is not None:
        begin(folder, overrides)
    if status != "not started":
        (folder / "config.yaml").write_text(yaml.safe_dump(config or CONFIG))
        (folder / "run.json").write_text(json.dumps({"status": status, "step": 20, "seconds": 1.5}))
    if score is not None:
        (folder / "metrics.csv").write_text(
            f"step,nll,val_nll\n10,9.0,\n10,,{score + 1}\n20,,{score}\n20,,nan\n"
        )
    if metrics is not None:
        (folder / "evaluation").mkdir()
        (folder / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
    if error:
        fail(folder, error)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sweep(tmp_path):
    """Widths 8 and 16, four seeds: of the wider one all is well, the other diverged once and stopped once."""
    folder = tmp_path / "widths"
    scores = iter([2.0, 2.5, None, 3.0, 1.0, 1.5, 2.0, 2.5])
    for number in range(8):
        width, seed = (8, 16)[number // 4], number % 4
        status = {2: "diverged", 3: "running"}.get(number, "finished")
        metrics = {"nll": seed + 1.0, "nll_low": 0.5, "nll_floor": 0.25, "odd": None} if width == 16 else None
        told = [f"model.width={width}", f"seed={seed}", "trainer.max_steps=20", "run_dir=widths"]
        error = "non-finite at step 3" if number == 2 else ""
        run(folder, number, told, next(scores), status, error, metrics=metrics)
    return folder


def test_settings_are_means_over_seeds_best_first(sweep):
    summary = Summary.of(sweep)
    folder = summary.write()
    best, other = rows(folder / "summary.csv")
    assert [best["model.width"], other["model.width"]] == ["16", "8"]
    assert "seed" not in best
    assert "trainer.max_steps" not in best
    assert float(best["val_nll"]) == 1.75
    assert float(best["val_nll_se"]) == pytest.approx(statistics.stdev([1, 1.5, 2, 2.5]) / 2)
    assert (float(best["nll"]), float(best["nll_floor"])) == (2.5, 0.25)
    assert "nll_floor_se" not in best
    assert [best[key] for key in ("runs", "finished", "failures", "evaluated")] == ["4", "4", "0", "4"]
    assert [other[key] for key in ("runs", "finished", "failures", "evaluated")] == ["4", "2", "1", "0"]
    assert (float(other["val_nll"]), other["nll"]) == (2.25, "")  # of those that finished
    assert "1.7500 ± 0.3227" in str(summary)
    assert str(summary).splitlines()[2].split()[:4] == ["8", "2", "of", "4"]


def test_runs_are_a_row_each(sweep):
    folder = Summary.of(sweep).write()
    found = rows(folder / "runs.csv")
    assert [row["run"] for row in found] == [*"01234567"]
    assert [row["status"] for row in found[:4]] == ["finished", "finished", "diverged", "running"]
    assert found[2]["error"] == "non-finite at step 3"
    assert [found[5][key] for key in ("model.width", "seed", "best_validation", "steps", "seconds")] == [
        *("16", "1", "1.5", "20", "1.5")
    ]


def test_page_and_figure_show_it(sweep):
    folder = Summary.of(sweep).write()
    html = (folder / "summary.html").read_text()
    assert "model.width=16" in html
    assert "1.7500 ± 0.3227" in html
    assert "non-finite at step 3" in html
    assert "floor 0.2500" in html
    assert "1 of 8 runs failed" in html
    assert "1 of 8 runs aren&#39;t done" in html
    assert (folder / "marginals.png").read_bytes()[1:4] == b"PNG"
    assert not [*folder.glob(".*")]  # nothing half-written


def test_a_summary_is_no_run_of_its_own_sweep(sweep):
    Summary.of(sweep).write()
    assert len(Summary.of(sweep).runs) == 8


def test_without_notes_configurations_tell_what_was_swept(tmp_path):
    for number, (family, width, score) in enumerate(
        [("realnvp", 8, 3.0), ("realnvp", 16, 2.0), ("nice", 7, 1.0)]
    ):
        target = f"flows.models.{family}.{family}"
        model = {"_target_": target, "width": width, "layers": {"realnvp": 4, "nice": 6}[family]}
        run(tmp_path, number, None, score, config={**CONFIG, "model": model, "seed": number})
    summary = Summary.of(tmp_path)
    assert summary.keys == ["model.width", "model"]  # layers follow from the model
    assert [setting.values["model"] for setting in summary.settings] == ["nice", "realnvp", "realnvp"]


def test_numbers_are_in_order_and_seeds_alone_are_one_setting(tmp_path):
    for number in range(12):
        run(tmp_path, number, [f"seed={number % 3}", f"dataset.seed={number // 3}"], 1.0 + number)
    summary = Summary.of(tmp_path)
    assert [each.name for each in summary.runs] == [str(k) for k in range(12)]
    [setting] = summary.settings
    assert setting.values == {}
    assert setting.score("val_nll").mean == 6.5
    assert (summary.write() / "marginals.png").exists()  # by the seeds, which are all there is


def test_jobs_that_never_started_are_counted(tmp_path):
    hydra = {
        "sweep": {"subdir": "${hydra.job.num}"},
        "sweeper": {"params": None},
        "overrides": {"task": ["model.width=8,16", "seed=range(0,3)"]},
    }
    run(tmp_path, 0, ["model.width=8", "seed=0"], 1.0)
    assert len(Summary.of(tmp_path).runs) == 1
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    summary = Summary.of(tmp_path)
    assert [each.status for each in summary.runs] == ["finished", *["not started"] * 5]
    assert [len(setting.runs) for setting in summary.settings] == [3, 3]
    assert summary.warnings() == ["5 of 6 runs aren't done: means are those of the others"]
    hydra["overrides"]["task"] = ["seed=range(0,1000000000000)"]  # a file that wants the machine's memory
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    assert len(Summary.of(tmp_path).runs) == 10_000


BROKEN = {
    "overrides.yaml": ["", "{", "a: 1", "[1, {a: b}, null]", "\x00"],
    "config.yaml": [
        "",
        "[",
        "[1]",
        "a: !!python/object/apply:os.system ['touch marker']",
        "1: {2: 3}",
        "a: &a {b: *a}",
        "\n".join(["a0: &a0 {x: 1}", *(f"a{k}: &a{k} {{x: *a{k - 1}, y: *a{k - 1}}}" for k in range(1, 40))]),
    ],
    "run.json": [
        "",
        "{",
        "[]",
        '{"status": 3, "step": true, "seconds": 1e999}',
        '{"step": 1' + "0" * 500 + "}",
    ],
    "metrics.csv": [
        "",
        "step,val_nll\n",
        "step,val_nll\n1,x\n",
        "val_nll\n1e308\n1e308\n",
        "\x00\n",
        "a\n1,2\n",
    ],
    "evaluation/metrics.json": ["", "[]", '{"nll": "x", "mmd": {}, "c2st": NaN}', "[" * 100_000],
    "error.txt": ["", "\n", "\x00", "x" * 1000],
    "multirun.yaml": ["", "[]", "hydra: []", "hydra: {overrides: {task: 3}}"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_cut_short_or_hostile_is_only_read(sweep, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for text in BROKEN[name]:
        path = sweep / name if name == "multirun.yaml" else sweep / "5" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        summary = Summary.of(sweep)
        summary.write()
        assert len(summary.runs) == 8
        assert str(summary)
        assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", BROKEN)
def test_a_pipe_is_not_waited_for(sweep, name):
    path = sweep / name if name == "multirun.yaml" else sweep / "5" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert len(Summary.of(sweep).runs) == 8


def test_what_files_say_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>$\\frac{"
    metrics = {evil: 1.0}
    for number in range(2):
        run(tmp_path, number, [f"model.{evil}={evil}{number}"], 1.0, metrics=metrics)
    run(tmp_path, 2, [f"model.{evil}={evil}"], error=evil)
    html = (Summary.of(tmp_path).write() / "summary.html").read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html


def test_what_was_trained_on_since_is_named(sweep):
    os.utime(sweep / "5" / "run.json", ns=(2**62, 2**62))
    assert (
        Summary.of(sweep).warnings()[-1]
        == "trained on since they were measured: runs 5; evaluate_missing=true"
    )


# evaluate.py


def evaluate(monkeypatch, capfd, *arguments):
    import evaluate as program

    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    status = 0
    try:
        entry("evaluate")(program.evaluate.__wrapped__)()
    except SystemExit as leaving:
        status = leaving.code
    return status, *capfd.readouterr()


def test_evaluate_puts_together(sweep, monkeypatch, capfd):
    status, out, err = evaluate(monkeypatch, capfd, f"sweep={sweep}")
    assert (status, out.splitlines()[-1]) == (0, f"summary: {sweep}/summary")
    assert "1.7500 ± 0.3227" in out
    assert err.splitlines()[0] == "warning: 1 of 8 runs failed: means are those of the others"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sweep=nowhere"], "sweep=nowhere: no such folder"),
        (["sweep=widths/1"], "sweep=widths/1: a run's directory, not a sweep's; give run=widths/1"),
        (["sweep=empty"], "sweep=empty: no runs in it; give the folder that a sweep (train.py -m) wrote"),
        (["sweep=3"], "sweep=3: expected str"),
        (["sweep=widths", "run=widths/1"], "sweep=widths: goes without run=widths/1"),
        (["sweep=widths", "task=sample", "output=a.csv"], "sweep=widths: goes without task=sample"),
        (["sweep=widths", "evaluate_missing=maybe"], "evaluate_missing='maybe': expected bool"),
        (["evaluate_missing=true"], "evaluate_missing=true: goes with sweep=DIR"),
    ],
)
def test_what_is_no_sweep_is_one_line(sweep, tmp_path, monkeypatch, capfd, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    status, out, err = evaluate(monkeypatch, capfd, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"evaluate.py: error: {says}")
    assert not (sweep / "summary").exists()


def test_missing_runs_are_measured_first(sweep, capfd):
    measured = []

    def perform(config):
        measured.append(Path(config["run"]).name)
        assert config["points"] == 7
        if len(measured) == 1:
            raise UserError("can't be opened")
        folder = Path(config["run"], "evaluation")
        folder.mkdir()
        (folder / "metrics.json").write_text('{"nll": 2.0}')

    put_together(str(sweep), True, {"task": "report", "points": 7}, perform)
    _, err = capfd.readouterr()
    assert measured == ["0", "1"]  # neither what failed or isn't done, nor what has been measured
    assert "warning: run 0: can't be opened" in err
    assert math.isclose(float(rows(sweep / "summary" / "summary.csv")[1]["nll"]), 2.0)


def test_the_mean_of_a_sweep_s_runs_is_judged_on_demand(sweep, capfd):
    asked = []
    put_together(str(sweep), False, {"task": "report", "mixture": True}, asked.append)
    [config] = asked
    assert config["output"] == str(sweep / "summary" / "mixture")
    assert str(sweep / "0") in config["runs"]
    assert len(config["runs"]) == sum(run.done for run in Summary.of(sweep).runs) > 1


def test_a_number_that_isnt_finite_stays_in_its_setting(tmp_path):
    """Left out, the worse a setting fails the better it would look."""
    for seed, nll in enumerate((None, 2.0, 3.0)):
        run(tmp_path, seed, [f"seed={seed}", "model.width=8"], 1.0, metrics={"nll": nll, "w1_mean": 1.0})
    found = Summary.of(tmp_path)
    [setting] = found.settings
    assert math.isnan(setting.metric("nll").mean)
    assert setting.metric("w1_mean").mean == 1.0
    assert any("nll isn't finite in runs 0," in line for line in found.warnings())
    assert "—" in str(found)
    found.write()


def test_a_bug_in_one_measurement_leaves_the_others(sweep, capsys):
    asked = []

    def perform(config):
        asked.append(config["run"])
        raise MemoryError("no room")

    put_together(str(sweep), True, {"task": "report"}, perform)
    assert len(asked) > 1
    assert capsys.readouterr().err.count("MemoryError: no room") == len(asked)
