"""A checkpoint is whole and verified, or it isn't there."""

from __future__ import annotations

import hashlib
import json
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
    with pytest.raises(
        UserError, match=r"SHA-256|not a whole checkpoint"
    ):  # the header of weights is read before
        checkpoint.read(tmp_path / "00000002")
    assert checkpoint.newest(tmp_path) == tmp_path / "00000001"


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_missing_file_makes_it_incomplete(tmp_path, name):
    path = checkpoint.write(tmp_path, 1, content(1))
    (path / name).unlink()
    assert checkpoint.newest(tmp_path) is None


def sparse(path, name, data, size):
    """A file of that size, zeros after what is given, vouched for by the manifest."""
    (path / name).write_bytes(data)
    os.truncate(path / name, size)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"][name] = hashlib.sha256((path / name).read_bytes()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest, indent=1))


def header(tensors):
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("tensors", "size"),
    [
        ({"w": FLOATS}, 2**16),  # longer than its weights
        ({"w": FLOATS}, 40),  # cut short
        ({"w": FLOATS | {"shape": [3]}}, None),
        ({"w": FLOATS | {"data_offsets": [4, 12]}}, None),
        ({"w": FLOATS, "v": FLOATS}, None),
        ({"w": FLOATS | {"dtype": "F31"}}, None),
        ({"w": FLOATS | {"shape": [2, 1.0]}}, None),
        ({"w": FLOATS | {"shape": [1] * 999 + [2]}}, None),
        ({"w": FLOATS | {"shape": [-2, -1]}}, None),
        ({"w": 3}, None),
        ([3], None),
        (3, None),
    ],
)
def test_weights_that_contradict_their_header_are_no_checkpoint(tmp_path, tensors, size):
    path = checkpoint.write(tmp_path, 1, content(1))
    data = header(tensors)
    sparse(path, "model.safetensors", data, size or len(data) + 8)
    with pytest.raises(checkpoint.Damaged, match="not a whole checkpoint") as refusal:
        checkpoint.read(path)
    assert "\n" not in str(refusal.value)
    assert checkpoint.newest(tmp_path) is None


def test_what_no_run_writes_that_long_is_no_checkpoint(tmp_path):
    for name, size in (("model.safetensors", 2**24), ("state.json", 2**21), ("manifest.json", 2**21)):
        path = checkpoint.write(tmp_path, 1, content(1))
        data = (2**24 - 8).to_bytes(8, "little") if name.startswith("model") else b"{}"
        (path / name).write_bytes(data)
        os.truncate(path / name, size)
        with pytest.raises(checkpoint.Damaged, match=r"header of weights can't be|larger than"):
            checkpoint.read(path)


def test_a_manifest_names_weights_alone(tmp_path):
    path = checkpoint.write(tmp_path, 1, content(1))
    sparse(path, "model.bin", b"", 10)
    with pytest.raises(checkpoint.Damaged, match="a file that holds no weights"):
        checkpoint.read(path)


def test_a_part_is_read_alone_and_no_more_than_a_net_needs(tmp_path):
    path = checkpoint.write(tmp_path, 1, content(1))
    assert checkpoint.read(path, only=("model",)).tensors.keys() == {"model"}
    assert checkpoint.extents(path, "model") == {"w": 12}
    assert checkpoint.read(path, checkpoint.most_bytes(torch.nn.Linear(1, 1))).state == {"turn": 1}
    with pytest.raises(UserError, match="larger than a checkpoint of this model"):
        checkpoint.read(path, 50)


def test_a_failing_write_leaves_the_old_one_and_no_temporary(tmp_path, monkeypatch):
    checkpoint.write(tmp_path, 1, content(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(tmp_path, 2, content(2))
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]
    assert checkpoint.newest(tmp_path) is not None
