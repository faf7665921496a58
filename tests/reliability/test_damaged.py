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
    with pytest.raises(UserError, match=r"doesn't fit this run .* \(16, 1\) there and .* \(8, 1\) here"):
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


def model(change):
    """A change of the tensors of the model."""
    return lambda found: found._replace(
        tensors=found.tensors | {"model": change(dict(found.tensors["model"]))}
    )


def own(**tensors):
    """Other tensors among the run's own."""
    return lambda found: found._replace(tensors=found.tensors | {"run": found.tensors["run"] | tensors})


def facts(**changed):
    """Other facts; `best_score` for that of the best."""

    def change(found):
        best = {key.removeprefix("best_"): value for key, value in changed.items() if key.startswith("best_")}
        plain = {key: value for key, value in changed.items() if not key.startswith("best_")}
        return found._replace(state=found.state | {"best": found.state["best"] | best} | plain)

    return change


def halves(part):
    """Tensors of one part in half precision."""
    return model(lambda own: own | {k: v.half() for k, v in own.items() if k.startswith(part)})


SPOILED = {
    "a slot cut short": (model(lambda own: own | {"optimizer.exp_avg": torch.zeros(1)}), "optimizer.exp_avg"),
    "a slot too few": (
        model(lambda own: {k: v for k, v in own.items() if k != "optimizer.exp_avg"}),
        "optimizer.exp_avg is absent",
    ),
    "a slot too many": (model(lambda own: own | {"optimizer.zzz": torch.zeros(3)}), "optimizer.zzz"),
    "no slots": (
        model(lambda own: {k: v for k, v in own.items() if not k.startswith("optimizer.")}),
        "optimizer.",
    ),
    "a slot's shape": (model(lambda own: own | {"optimizer.step": torch.ones(3)}), "optimizer.step"),
    "a slot's value": (
        model(lambda own: own | {"optimizer.step": torch.tensor(-1.0)}),
        "optimizer.step is -1",
    ),
    "slots of half precision": (halves("optimizer."), "optimizer."),
    "weights of half precision": (halves("weights."), "float16"),
    "averages of half precision": (halves("average."), "float16"),
    "good of floats": (model(lambda own: own | {"good": torch.tensor(4.0)}), "good is float32"),
    "more good steps than any": (model(lambda own: own | {"good": torch.tensor(5)}), "good is 5"),
    "steps of another turn": (
        model(lambda own: own | {"steps": torch.tensor(3), "good": torch.tensor(3)}),
        "steps is 3|optimizer.step is 4",
    ),
    "a norm of another shape": (
        own(**{"grad_norm.model": torch.zeros(2)}),
        r"grad_norm.model is float32 \(2,\)",
    ),
    "a sum too many": (own(**{"sums.zzz": torch.tensor(1.0)}), "sums.zzz"),
    "a sum of another type": (own(**{"sums.nll": torch.tensor(1)}), "sums.nll"),
    "a place in another epoch": (own(**{"stream.taken": torch.tensor(-1)}), "stream.taken is -1"),
    "a short generator": (own(generator=torch.zeros(3, dtype=torch.uint8)), "generator is uint8"),
    "dropout where none is": (own(dropout=torch.zeros(3, dtype=torch.uint8)), "dropout is uint8"),
    "another player": (lambda found: found._replace(tensors=found.tensors | {"evil": {}}), "evil"),
    "a negative turn": (facts(turn=-5), "turn is -5"),
    "a turn ahead": (facts(turn=8), "steps is 4, expected a whole number from 8 to 8"),
    "a turn behind": (facts(turn=3, seen=3, best_step=2), "stream.taken is 4"),
    "a turn of digits": (facts(turn="4"), "turn is '4'"),
    "a turn that is true": (facts(turn=True), "turn is true"),
    "a turn beyond counting": (facts(turn=10**400), "turn is"),
    "seen before it came": (facts(seen=9), "seen is 9"),
    "a budget of fractions": (facts(steps=4.0), "steps is 4.0"),
    "counts of what isn't logged": (facts(counts={"evil": 3}), "evil"),
    "counts of fractions": (facts(counts={"nll": 0.5}), "counts.nll is 0.5"),
    "a list of counts": (facts(counts=[3]), "counts is"),
    "a device that is none": (facts(device=3), "device is 3"),
    "a fact too many": (facts(evil=3), "has no key 'evil'"),
    "no best": (facts(best=None), "best is null"),
    "a best that is none": (facts(best_score=float("nan")), "best.score is nan"),
    "a best of text": (facts(best_score="low"), "best.score is 'low'"),
    "a best to come": (facts(best_step=10**9), "best.step is"),
    "misses without end": (facts(best_misses=10**9), "best.misses is"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_row_11_what_the_run_would_not_have_saved_is_refused_in_one_line(tmp_path, name):
    change, said = SPOILED[name]
    run = left.copy(tmp_path)
    left.rewrite(left.newest(run), change)
    with pytest.raises(UserError, match=rf"doesn't fit this run \(.*(?:{said}).*\); give") as refusal:
        left.train(run, "trainer.max_steps=6")
    assert "\n" not in str(refusal.value)
    assert step(run) == 4


def test_row_11_a_best_that_the_run_would_not_have_saved_is_one_line(tmp_path):
    run = left.copy(tmp_path)
    left.rewrite(left.newest(run, "best"), halves("average."))
    with pytest.raises(UserError, match=r"best/.*: doesn't fit this run \(.*float16") as refusal:
        left.train(run)
    assert "\n" not in str(refusal.value)
