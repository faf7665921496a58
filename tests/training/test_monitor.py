"""What a run shows: the bar, TensorBoard, metrics.csv, the table of a model."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import small
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.data.provider import RunTagFilter
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, SESSION_START_INFO_TAG
from tensorboard.summary.writer import event_file_writer
from terminal import seen

from flows.models.realnvp import realnvp
from flows.training import monitor as module
from flows.training.board import hyperparameters
from flows.training.describe import describe
from flows.training.monitor import Logger, Monitor
from flows.training.table import Table, read

CONFIG = {
    "seed": 3,
    "run_dir": "outputs/a",
    "init_from": None,
    "model": {"_target_": "flows.models.realnvp.realnvp", "width": 8, "shared_net": True},
    "trainer": {
        "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "betas": [0.9, 0.99]},
        "keep": 1,
    },
    "logger": {"_target_": "flows.training.monitor.Logger", "log_every": 10},
}
LOGGER = Logger(log_every=10, figures=2)


class Shown:
    """What TensorBoard shows of a folder, by its own readers."""

    def __init__(self, folder: Path) -> None:
        self.events = EventMultiplexer(purge_orphaned_data=True).AddRunsFromDirectory(str(folder))
        self.events.Reload()
        self.runs = sorted(self.events.Runs())
        self.data = MultiplexerDataProvider(self.events, str(folder))

    def scalars(self, run: str) -> dict[str, list[tuple[int, float]]]:
        read = self.data.read_scalars(
            RequestContext(),
            experiment_id="",
            plugin_name="scalars",
            downsample=10_000,
            run_tag_filter=RunTagFilter(runs=[run]),
        )
        return {tag: [(point.step, point.value) for point in points] for tag, points in read[run].items()}

    def steps(self, run: str, tag: str) -> list[int]:
        return [event.step for event in self.events.Tensors(run, tag)]

    def hparams(self) -> tuple[dict[str, bool], list[str]]:
        """Columns of the HPARAMS tab: hyper-parameters and whether they differ, and metrics."""
        context, request = Context(SimpleNamespace(data_provider=self.data)), RequestContext()
        metadata = context.hparams_metadata(request, "")
        shown = context.experiment_from_metadata(request, "", True, metadata, [])
        return (
            {info.name: info.differs for info in shown.hparam_infos},
            [info.name.tag for info in shown.metric_infos],
        )

    def records(self, run: str) -> list[str]:
        """Which of a session's records there are."""
        names = {SESSION_START_INFO_TAG: "start", SESSION_END_INFO_TAG: "end"}
        found = self.events.PluginRunToTagToContent("hparams").get(run, {})
        return [names.get(tag, tag) for tag in found]


def train(folder: Path, steps: range, config: dict = CONFIG, stop: int | None = None) -> None:
    """Log every ten steps and draw twice; die after `stop`."""
    monitor = Monitor(folder, LOGGER, config, lambda _: {"latent": Figure((1, 1))}, steps.start)
    with monitor.progress(steps.start, steps.stop):
        for step in steps:
            now = step + 1
            if monitor.due(now):
                values = {"nll": 1 / now, "grad_norm": 2.0, "lr": 0.1}
                monitor.log(now, values | ({"val_nll": 3.0, "val_kl_to_truth": 0.5} if now % 20 == 0 else {}))
            if monitor.draws(now, steps.stop):
                monitor.draw(now, torch.nn.Identity())
            if now == stop:
                raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard reads files by name: the second, then a counter, of which 10 would stand before 9."""
    monkeypatch.setattr(event_file_writer._global_uid, "get", count(1000).__next__)


# The bar


def test_where_nobody_watches_there_is_no_bar(tmp_path, capsys):
    train(tmp_path, range(20))
    assert capsys.readouterr() == ("", "")


def on_terminal(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    def act(terminal: int) -> None:
        with os.fdopen(terminal, "w", closefd=False) as stderr, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            train(folder, range(20, 40))

    return seen(act)


def test_on_a_terminal_the_bar_shows_losses_speed_and_time_left(tmp_path, monkeypatch):
    first, *_, last = lines = on_terminal(monkeypatch, tmp_path)
    assert first.startswith("20/40 ")  # a run that carries on begins where it stood
    assert last.startswith("40/40 ")
    assert " left, " in last
    assert " steps/s, nll 0.0250, val 3.0000, kl 0.5000" in last
    assert max(map(len, lines)) <= 80


def test_who_wants_no_bars_has_none_on_a_terminal_either(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert on_terminal(monkeypatch, tmp_path) == []


def test_speed_leaves_out_the_time_that_figures_take(tmp_path, monkeypatch):
    clock = iter([0.0, 0.0, 0.0, 2.0, 3.0, 8.0, 9.0])  # made, begun twice, 10 steps, drawing, drawn, 10 steps
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    monitor = Monitor(tmp_path, LOGGER, {}, lambda _: {})
    with monitor.progress(0, 20):
        monitor.log(10, {"nll": 1.0})
        monitor.draw(15, torch.nn.Identity())
        monitor.log(20, {"nll": 1.0})
    assert [float(row["steps_per_second"]) for row in read(tmp_path / "metrics.csv")] == [5.0, 5.0]


@pytest.mark.parametrize(("figures", "at"), [(0, []), (1, [10]), (3, [4, 7, 10]), (20, [*range(1, 11)])])
def test_figures_are_spread_over_the_run(tmp_path, figures, at):
    monitor = Monitor(tmp_path, Logger(figures=figures), {}, lambda _: {})
    with monitor.progress(0, 10):
        assert [step for step in range(1, 11) if monitor.draws(step, 10)] == at


# TensorBoard


def test_all_that_is_logged_is_shown_in_one_run(tmp_path):
    train(tmp_path, range(40))
    shown = Shown(tmp_path)
    assert shown.runs == ["tensorboard"]
    scalars = shown.scalars("tensorboard")
    assert list(scalars) == [
        *("train/nll", "vitals/grad_norm", "vitals/lr", "vitals/steps_per_second"),
        *("val/nll", "val/kl_to_truth"),
    ]
    assert scalars["train/nll"] == [(step, pytest.approx(1 / step)) for step in (10, 20, 30, 40)]
    assert scalars["val/nll"] == [(20, 3.0), (40, 3.0)]
    assert shown.steps("tensorboard", "figures/latent") == [20, 40]
    (text,) = shown.events.Tensors("tensorboard", "config/text_summary")
    assert "width: 8" in text.tensor_proto.string_val[0].decode()


def test_what_is_logged_is_on_disk_at_once(tmp_path):
    monitor = Monitor(tmp_path, LOGGER, CONFIG)
    with monitor.progress(0, 20):
        monitor.log(10, {"nll": 1.5})
        assert Shown(tmp_path).scalars("tensorboard")["train/nll"] == [(10, 1.5)]
        assert read(tmp_path / "metrics.csv")[0]["nll"] == "1.5"


def test_carrying_on_purges_what_lies_beyond_and_repeats_nothing(tmp_path):
    for begin, stop in ((0, 15), (0, 35), (20, 35), (20, None)):  # the first died before its first checkpoint
        try:
            train(tmp_path, range(begin, 40), stop=stop)
        except KeyboardInterrupt:
            assert stop
    shown = Shown(tmp_path)
    assert shown.runs == ["tensorboard"]
    assert shown.steps("tensorboard", "train/nll") == [10, 20, 30, 40]
    assert shown.steps("tensorboard", "val/nll") == [20, 40]
    assert shown.steps("tensorboard", "figures/latent") == [20, 40]
    assert shown.steps("tensorboard", "config/text_summary") == [1, 21]
    assert [row["step"] for row in read(tmp_path / "metrics.csv")] == ["10", "20", "30", "40"]


def test_a_session_ends_well_or_has_no_end(tmp_path):
    train(tmp_path / "whole", range(20))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", range(20), stop=15)
    shown = Shown(tmp_path)
    assert shown.records("whole/tensorboard") == ["start", "end"]
    assert shown.records("broken/tensorboard") == ["start"]


def test_hparams_has_the_columns_of_every_run_and_live_metrics(tmp_path):
    """Not those of the first run alone; what differs is known, so it stands first."""
    other = CONFIG | {"model": {"_target_": "flows.models.spline.spline", "width": 8, "bins": 5}}
    train(tmp_path / "0", range(20))
    train(tmp_path / "1", range(20), other)
    columns, metrics = Shown(tmp_path).hparams()
    assert columns == {
        "seed": False,
        "model": True,
        "model.width": False,
        "model.shared_net": False,
        "model.bins": False,
        "trainer.optimizer": False,
        "trainer.optimizer.betas": False,
    }
    assert metrics[:3] == ["train/nll", "val/kl_to_truth", "val/nll"]  # of which five are ticked


def test_hyperparameters_read_well():
    assert hyperparameters(CONFIG) == {
        "seed": 3,
        "model": "realnvp",
        "model.width": 8,
        "model.shared_net": "true",
        "trainer.optimizer": "AdamW",
        "trainer.optimizer.betas": "[0.9, 0.99]",
    }


# metrics.csv


def test_columns_grow_and_what_was_not_measured_is_empty(tmp_path):
    table = Table(tmp_path / "metrics.csv")
    table.append(1, {"nll": 1 / 3})
    table.append(2, {"val_nll": float("inf"), "nll": 1e-300})
    table.close()
    lines = ["step,nll,val_nll", "1,0.3333333333333333,", "2,1e-300,inf"]
    assert (tmp_path / "metrics.csv").read_text().splitlines() == lines


def test_a_table_taken_up_again_keeps_the_rows_that_count(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,nll\n1,0.5\n2,0.25\n3,0.125\n4,0.0625\n")
    table = Table(path, 2)
    table.append(3, {"nll": 7.0})
    table.close()
    assert path.read_text() == "step,nll\n1,0.5\n2,0.25\n3,7.0\n"
    Table(path).close()
    assert path.read_text() == "step\n"


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,nll\n1,0.5\n2,0.")
    assert read(path) == [{"step": "1", "nll": "0.5"}]


# A model


def test_a_model_is_described_part_below_part():
    data = small.dataset(labels=True)
    model = realnvp(data.spec, layers=2, width=4, depth=1)
    lines = describe(model, data.source("train").to(torch.device("cpu"), torch.float32).take(slice(5)))
    assert lines.splitlines() == [
        "batch: x (5, 2), context (5, 2)",
        "layer           kind         output  parameters",
        "normaliser      Standardize  (5, 2)           0",
        "transform       Compose      (5, 2)          52",
        "  transforms.0  Standardize  (5, 2)           0",
        "  transforms.1  Coupling     (5, 2)          26",
        "    net         MLP          (5, 2)          26",
        "  transforms.2  Coupling     (5, 2)          26",
        "    net         MLP          (5, 2)          26",
        "parameters: 52",
    ]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
