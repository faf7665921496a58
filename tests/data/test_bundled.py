"""scikit-learn's measured sets: as they are recorded, on the lattice of that."""

import inspect

import numpy as np
import pytest
import sklearn.datasets
import torch
import yaml
import zoo

from data import bundled
from data.recorded import FEW
from flows.lattice import quantise

SIZES = {
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "diabetes": (442, 10, 0),
}
LABELLED = [name for name, (_, _, classes) in SIZES.items() if classes]


def loaded(name):
    options = {"scaled": False} if name == "diabetes" else {}
    return getattr(sklearn.datasets, f"load_{name}")(**options)


def parts(points):
    return [points.source(part).take(slice(None)) for part in ("train", "val", "test")]


@pytest.mark.parametrize("name", SIZES)
def test_examples_are_those_recorded_but_for_a_few_rounded(name):
    points, recorded = getattr(bundled, name)(), loaded(name)
    x = torch.cat([batch.x for batch in parts(points)]).numpy()
    assert x.shape == SIZES[name][:2]
    assert points.spec.names == tuple(map(str, recorded.feature_names))
    changed = (np.sort(x, axis=0) != np.sort(recorded.data, axis=0)).mean(axis=0)
    assert changed.max() <= FEW
    assert all(batch.context is None for batch in parts(points))


@pytest.mark.parametrize("name", SIZES)
def test_examples_lie_on_their_lattice_which_is_no_finer_than_it_must(name):
    points = getattr(bundled, name)()
    x, spec = points.source("train").take(slice(None)).x, points.spec
    torch.testing.assert_close(quantise(x, spec), x, rtol=1e-12, atol=1e-12)
    coarser = spec._replace(quantum=tuple(10 * q for q in spec.quantum), support=None)
    moved = ((quantise(x, coarser) - x).abs() > 1e-9).any(0)
    assert bool((moved | (torch.tensor(spec.quantum) == 1)).all())


def test_the_lattices_are_those_that_the_docstrings_say():
    assert bundled.iris().spec.quantum == (0.1,) * 4
    assert {*bundled.wine().spec.quantum} == {0.01, 0.1, 1.0}
    fine = bundled.breast_cancer().spec.quantum
    assert (min(fine), max(fine)) == (1e-6, 0.1)
    spec = bundled.diabetes().spec
    assert (min(spec.quantum), max(spec.quantum)) == (1e-4, 1.0)
    assert spec.support == (None, (1.0, 3.0), *[None] * 8)
    assert spec.dtypes[:4] == ("int64", "int64", "float64", "float64")
    spec = bundled.digits().spec
    assert (spec.quantum, spec.support, spec.dtypes) == ((1.0,) * 64, ((0.0, 17.0),) * 64, ("int64",) * 64)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_one_hot_and_colour_the_figures_either_way(name):
    builder, count = getattr(bundled, name), SIZES[name][2]
    plain, points = builder(), builder(labels=True)
    assert points.spec.context_shape == (count,) == (len(points.spec.context_names),)
    assert plain.spec.context_names == ()
    for part in ("train", "val", "test"):
        hot = points.source(part).take(slice(None)).context
        assert torch.equal(hot.argmax(1), points.classes(part))
        assert bool((hot.sum(1) == 1).all())
        assert torch.equal(plain.classes(part), points.classes(part))
    counts = torch.cat([points.classes(part) for part in ("train", "val", "test")]).bincount()
    assert counts.tolist() == np.bincount(loaded(name).target).tolist()


def test_labels_bear_the_names_of_what_they_are():
    points, tumours = bundled.iris(labels=True), loaded("breast_cancer").target_names
    x, kind = points.source("train").take(slice(None)).x, points.classes("train")
    assert x[kind == 0, 2].max() < x[kind != 0, 2].min()  # setosa's petals are the short ones
    assert points.spec.context_names == tuple(f"species={level}" for level in loaded("iris").target_names)
    assert bundled.breast_cancer(labels=True).spec.context_names == tuple(f"tumour={t}" for t in tumours)
    assert bundled.digits(labels=True).spec.context_names[9] == "digit=9"
    assert bundled.diabetes().classes("train") is None


@pytest.mark.parametrize("name", SIZES)
def test_yaml_lists_every_argument_and_its_default(name):
    node = yaml.safe_load((zoo.CONF / "dataset" / f"{name}.yaml").read_text())
    builder = getattr(bundled, name)
    assert node.pop("_target_") == f"data.bundled.{name}"
    assert node == {key: p.default for key, p in inspect.signature(builder).parameters.items()}
