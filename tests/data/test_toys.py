"""Toys as datasets: their parts, their classes, their files, what they refuse."""

import inspect

import pytest
import torch
from pydantic import ConfigDict, ValidationError, validate_call

from data import toys
from data.toy import Toy
from flows.errors import UserError

PARTS = ("train", "val", "test")


def strict(builder):
    return validate_call(config=ConfigDict(strict=True))(builder)


def test_file_says_what_it_is_and_repeats_the_signature(name, builder, config, path):
    assert path.read_text().startswith("# ")
    assert config.pop("_target_") == f"data.toys.{name}"
    defaults = {key: parameter.default for key, parameter in inspect.signature(builder).parameters.items()}
    assert config == defaults
    assert [*map(type, config.values())] == [*map(type, defaults.values())]
    assert [*config] == [*defaults], "the file lists the parameters in another order"
    assert isinstance(strict(builder)(**config), Toy)


def test_every_builder_has_a_file(request):
    public = {
        key
        for key, value in vars(toys).items()
        if inspect.isfunction(value) and value.__module__ == "data.toys" and not key.startswith("_")
    }
    assert public == set(request.getfixturevalue("names"))


def test_numbers_out_of_range_are_refused(numeric):
    name, key = numeric
    bad = ["1", float("nan"), float("inf"), None]
    if key not in ("bend", "rate"):  # which may turn either way
        bad += [-1] if key in ("seed", "factor") else [-1, 0]
    builder = strict(getattr(toys, name))
    for value in bad:
        with pytest.raises(ValidationError):
            builder(**{key: value})


def test_parts_are_float64_and_as_long_as_asked(builder):
    toy = builder(n_train=400, n_val=30, n_test=50)
    assert [len(toy.source(part)) for part in PARTS] == [400, 30, 50]
    x, context = toy.source("train").take(slice(None))
    assert x.shape == (400, 2) and x.dtype == torch.float64
    assert x.isfinite().all()
    assert context is None
    assert toy.spec.names == ("x", "y") and toy.spec.shape == (2,)
    assert toy.spec.context_names == () and toy.spec.context_shape is None


def test_parts_share_no_point(builder):
    # equally large, for then equal seeds would give equal points
    toy = builder(n_train=20_000, n_val=20_000, n_test=20_000)
    train, val, test = (set(map(tuple, toy.source(part).x.tolist())) for part in PARTS)
    assert len(train) == len(val) == len(test) == 20_000
    assert not train & val
    assert not train & test
    assert not val & test


def test_seed_fixes_the_draws(builder):
    first, again, other = (builder(n_train=50, seed=seed).source("train").x for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_size_of_one_part_leaves_the_others(builder):
    small, large = builder(n_train=50), builder(n_train=60)
    assert torch.equal(small.source("val").x, large.source("val").x)


def test_drawing_touches_no_global_state(builder):
    before = torch.get_rng_state()
    builder(n_train=50).source("train")
    assert torch.equal(torch.get_rng_state(), before)


def test_each_part_is_drawn_when_first_asked_for_and_once(monkeypatch):
    toy, asked = toys.rings(n_train=50, labels=True), []
    draw = toy._draw
    monkeypatch.setattr(toy, "_draw", lambda n, random_state: asked.append(n) or draw(n, random_state))
    assert asked == []
    toy.source("train"), toy.source("train"), toy.classes("train")
    assert asked == [50]


def test_labels_are_the_class_one_hot(labelled):
    x, context = labelled.source("val").take(slice(None))
    classes = labelled.classes("val")
    assert classes.dtype == torch.int64 and classes.shape == (len(x),)
    assert torch.equal(context, torch.eye(len(labelled.truth), dtype=torch.float64)[classes])
    assert labelled.spec.context_shape == (len(labelled.truth),)
    assert len(set(labelled.spec.context_names)) == len(labelled.truth)
    share = torch.bincount(classes, minlength=len(labelled.truth)) / len(classes)
    assert (share * len(labelled.truth) - 1).abs().max() < 0.35


def test_labels_leave_the_points_and_classes_as_they_are():
    plain, labelled = toys.moons(), toys.moons(labels=True)
    assert torch.equal(plain.source("val").x, labelled.source("val").x)
    assert torch.equal(plain.classes("val"), labelled.classes("val"))
    assert labelled.spec.context_names == ("moon_0", "moon_1")


def test_one_component_has_no_classes_and_no_labels():
    assert toys.banana().classes("val") is None
    with pytest.raises(UserError, match="more than one ring"):
        toys.rings(rings=1, labels=True)


def test_checkerboard_says_where_it_ends():
    toy = toys.checkerboard(extent=3.0)
    assert toy.spec.support == ((-3.0, 3.0), (-3.0, 3.0))
    assert toy.source("test").x.abs().max() <= 3.0
    assert toys.moons().spec.support is None


@pytest.mark.parametrize("builder", [toys.moons, toys.circles, toys.spirals, toys.eight_gaussians])
def test_no_noise_is_refused(builder):
    with pytest.raises(UserError, match="singular"):
        builder(noise=0.0)


def test_noise_too_small_to_integrate_is_refused_with_what_would_do():
    with pytest.raises(UserError, match=r"noise=1e-05 is too small.*use 0\.0021 or more"):
        toys.moons(noise=1e-5)
    toys.moons(noise=0.0021)
    toys.circles(noise=1e-5)
