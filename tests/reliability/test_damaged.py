"""Checkpoints that are damaged, incomplete or another run's: found, said, and the one before taken."""

from __future__ import annotations

import json
import random
import shutil

import composed
import left
import pytest
import torch

import flows
from flows.errors import UserError
from flows.training import checkpoint
from flows.training.saved import Saved

FILES = ("manifest.json", "state.json", "model.safetensors", "run.safetensors")


def step(run):
    return json.loads((run / "run.json").read_text())["step"]


@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_row_08_a_truncated_checkpoint_is_passed_over_aloud(tmp_path, capsys, share):
    run = left.copy(tmp_path)
    cut = left.newest(run)
    assert cut.name == "00000004"
    for name in FILES:
        kept = (cut / name).read_bytes()
        (cut / name).write_bytes(kept[: len(kept) * share // 100])
        with pytest.raises(UserError, match=r"damaged|not a whole checkpoint") as refusal:
            checkpoint.read(cut)
        assert str(cut) in str(refusal.value)
        assert checkpoint.newest(cut.parent).name == "00000002"
        if name != FILES[-1]:
            (cut / name).write_bytes(kept)
    flows.load(run, "last")
    assert f"{cut}: damaged; taking that of step 2" in capsys.readouterr().err
    left.train(run, "trainer.max_steps=6")
    assert f"{cut}: damaged; carrying on from step 2" in capsys.readouterr().err
    assert step(run) == 6


def test_row_08_where_no_other_is_left_it_is_an_error(tmp_path):
    run = left.copy(tmp_path)
    cut = left.newest(run, "best") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(UserError, match="no whole checkpoint in checkpoints/best"):
        flows.load(run)


def test_row_09_two_hundred_flipped_bits_are_all_found(tmp_path):
    path = left.newest(left.copy(tmp_path))
    data = {name: (path / name).read_bytes() for name in FILES}
    draw, missed = random.Random(0), []
    for _ in range(200):
        name = draw.choice(FILES)
        spoiled = bytearray(data[name])
        place = draw.randrange(8 * len(spoiled))
        spoiled[place // 8] ^= 1 << place % 8
        (path / name).write_bytes(spoiled)
        try:
            checkpoint.read(path)
            missed.append((name, place))
        except UserError as error:
            assert "\n" not in str(error)
        (path / name).write_bytes(data[name])
    assert missed == []
    checkpoint.read(path)


@pytest.mark.parametrize("name", FILES)
def test_row_10_without_a_file_or_its_checksum_it_is_incomplete(tmp_path, capsys, name):
    run = left.copy(tmp_path)
    path = left.newest(run)
    manifest = json.loads((path / "manifest.json").read_text())
    if manifest["sha256"].pop(name, None):
        (path / "manifest.json").write_text(json.dumps(manifest, indent=1))
        assert checkpoint.newest(path.parent).name == "00000002"
    (path / name).unlink()
    assert checkpoint.newest(path.parent).name == "00000002"
    flows.load(run, "last")
    assert "taking that of step 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.width=16"], "model.width is 8 there and 16 here"),
        (["dataset.noise=0.1"], "dataset.noise is 0.05 there and 0.1 here"),
        (["dataset=circles"], "dataset is moons there and circles here"),
    ],
)
def test_row_11_another_configuration_is_refused_with_the_difference(tmp_path, overrides, said):
    run = left.copy(tmp_path)
    with pytest.raises(UserError) as refusal:
        left.train(run, "trainer.max_steps=6", *overrides)
    assert said in str(refusal.value)
    assert step(run) == 4


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.width=16"], r"\(8, 1\) there and \(16, 1\) here"),
        (["dataset=iris"], r"names is .*x.* there and .*petal.* here"),
    ],
)
def test_row_11_weights_of_another_shape_are_refused_with_the_difference(tmp_path, overrides, said):
    own = [each for each in left.OPTIONS if "dataset=iris" not in overrides or "dataset." not in each]
    options = [*own, "trainer.max_steps=4", f"init_from={left.trained()}", *overrides]
    with pytest.raises(UserError, match=said):
        composed.run(tmp_path / "next", *options)
    assert not (tmp_path / "next").exists()


def test_row_11_a_checkpoint_of_another_width_is_refused_with_the_difference(tmp_path):
    run = left.copy(tmp_path)
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(left.trained("model.width=16") / "checkpoints", run / "checkpoints")
    with pytest.raises(UserError, match=r"don't fit this model: .* \(16, 1\) there and \(8, 1\) here"):
        flows.load(run)
    with pytest.raises(UserError, match=r"doesn't fit this run .*size mismatch"):
        left.train(run, "trainer.max_steps=6")


def test_row_12_another_version_of_torch_makes_no_difference(tmp_path):
    run = left.copy(tmp_path)
    facts = json.loads((run / "run.json").read_text())
    facts["versions"]["torch"] = "1.0.0"
    (run / "run.json").write_text(json.dumps(facts))
    x = torch.zeros(3, 2)
    assert torch.equal(flows.load(run).log_prob(x), flows.load(left.trained()).log_prob(x))


def test_row_12_weights_of_another_device_carry_on_here(tmp_path):
    run = left.copy(tmp_path)
    left.rewrite(left.newest(run), lambda found: found._replace(state=found.state | {"device": "cuda"}))
    left.train(run, "trainer.max_steps=6")
    assert step(run) == 6


def test_row_12_double_precision_is_taken_on(tmp_path):
    density = flows.load(left.copy(tmp_path, "runtime.dtype=float64"))
    assert density.log_prob(torch.zeros(3, 2, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, "mixed"])
def test_row_12_weights_of_no_runs_precision_are_one_line(tmp_path, dtype):
    run = left.copy(tmp_path)

    def change(found):
        model = found.tensors["model"]
        averages = [name for name in model if name.startswith("average.")]
        odd = {name: model[name].to(torch.float64 if dtype == "mixed" else dtype) for name in averages}
        if dtype == "mixed":
            odd.pop(averages[0])
        return found._replace(tensors=found.tensors | {"model": model | odd})

    left.rewrite(left.newest(run, "best"), change)
    with pytest.raises(UserError, match=r"weights of .*; expected all float32 or all float64") as refusal:
        Saved(run).density()
    assert "\n" not in str(refusal.value)
