"""A checkpoint is whole and verified, or it isn't there."""

from __future__ import annotations

import os

import pytest
import torch

from flows.errors import UserError
from flows.training import checkpoint
from flows.training.checkpoint import Checkpoint


def content(step: int) -> Checkpoint:
    return Checkpoint({"model": {"w": torch.full((3,), float(step))}, "run": {}}, {"turn": step})


def test_round_trip(tmp_path):
    path = checkpoint.write(tmp_path / "last", 7, content(7))
    found = checkpoint.read(path)
    assert torch.equal(found.tensors["model"]["w"], torch.full((3,), 7.0))
    assert found.state == {"turn": 7}
    assert {file.name for file in path.iterdir()} == {
        "model.safetensors",
        "run.safetensors",
        "state.json",
        "manifest.json",
    }


def test_retention_keeps_the_newest(tmp_path):
    for step in (5, 10, 15, 100):
        checkpoint.write(tmp_path, step, content(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000015", "00000100"]
    assert checkpoint.newest(tmp_path) == tmp_path / "00000100"


def test_what_is_written_stays_whatever_else_there_is(tmp_path):
    checkpoint.write(tmp_path, 40, content(40), keep=1)
    path = checkpoint.write(tmp_path, 10, content(10), keep=1)
    assert [found.name for found in tmp_path.iterdir()] == [path.name] == ["00000010"]


def test_what_a_dead_process_left_is_swept(tmp_path):
    (tmp_path / ".00000003.tmp").mkdir(parents=True)
    checkpoint.write(tmp_path, 4, content(4))
    checkpoint.write(tmp_path, 4, content(5))  # again, in the place of the old one
    assert [found.name for found in tmp_path.iterdir()] == ["00000004"]
    assert checkpoint.read(tmp_path / "00000004").state == {"turn": 5}


@pytest.mark.parametrize("manifest", ["{}", '{"sha256": ["a"]}', "3", '{"sha256": {}}'])
def test_a_manifest_that_makes_no_sense_is_no_checkpoint(tmp_path, manifest):
    path = checkpoint.write(tmp_path, 1, content(1))
    (path / "manifest.json").write_text(manifest)
    (tmp_path / "²").mkdir()
    with pytest.raises(UserError):
        checkpoint.read(path)
    assert checkpoint.newest(tmp_path) is None


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_damage_is_found_and_the_one_before_taken(tmp_path, name):
    for step in (1, 2):
        checkpoint.write(tmp_path, step, content(step), keep=2)
    file = tmp_path / "00000002" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="SHA-256"):
        checkpoint.read(tmp_path / "00000002")
    assert checkpoint.newest(tmp_path) == tmp_path / "00000001"


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_missing_file_makes_it_incomplete(tmp_path, name):
    path = checkpoint.write(tmp_path, 1, content(1))
    (path / name).unlink()
    assert checkpoint.newest(tmp_path) is None


def test_a_failing_write_leaves_the_old_one_and_no_temporary(tmp_path, monkeypatch):
    checkpoint.write(tmp_path, 1, content(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(tmp_path, 2, content(2))
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]
    assert checkpoint.newest(tmp_path) is not None
