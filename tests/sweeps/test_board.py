"""TensorBoard on a sweep's folder: each run, and HPARAMS beside each other."""

from __future__ import annotations

from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from flows.training.board import Board


def test_tensorboard_finds_each_run_and_its_hyperparameters(tmp_path):
    for number, width in enumerate((8, 16)):
        board = Board(tmp_path / str(number) / "tensorboard", {"model": {"width": width}}, 0)
        board.scalars(10, {"val/nll": 2.0 + number})
        board.finish()
        board.close()
    shown = EventMultiplexer()
    shown.AddRunsFromDirectory(str(tmp_path))
    shown.Reload()
    runs = ["0/tensorboard", "1/tensorboard"]
    assert sorted(shown.Runs()) == runs
    assert all("val/nll" in shown.PluginRunToTagToContent("scalars")[run] for run in runs)
    assert sorted(shown.PluginRunToTagToContent("hparams")) == runs
