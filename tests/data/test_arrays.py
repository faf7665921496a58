"""Fields from the arrays of an NPZ file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.arrays import arrays
from flows.errors import UserError


@pytest.fixture
def saved(tmp_path):
    """Writes arrays to a file and says where."""

    def save(**given):
        path = tmp_path / "fields.npz"
        np.savez(path, **given)
        return str(path)

    return save


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 2, 5, 6))
CONTEXT = RANDOM.normal(size=(40, 3, 5, 6)).astype(np.float32)


def test_values_parts_and_names(saved):
    dataset = arrays(saved(speed=X, weather=CONTEXT), "speed", "weather", names=["u", "v"], gap=1)
    for part, places in (("train", slice(0, 26)), ("val", slice(27, 31)), ("test", slice(32, 40))):
        x, context = dataset.source(part).take(slice(None))
        np.testing.assert_array_equal(x, X[places])
        np.testing.assert_array_equal(context, CONTEXT[places])
    assert dataset.spec.names == ("u", "v")
    assert dataset.spec.context_names == ("c0", "c1", "c2")
    assert (dataset.spec.shape, dataset.spec.context_shape) == ((2, 5, 6), (3, 5, 6))
    assert dataset.layout("test") is None


def test_one_channel_needs_no_axis_and_context_may_be_absent_or_coarse(saved):
    path = saved(target=X[:, 0])
    assert arrays(path, context=None).spec.context_shape is None
    dataset = arrays(path, context=None, coarsen=5)
    x, context = dataset.source("train").take(slice(None))
    assert dataset.spec.context_names == ("coarse_x0",)
    torch.testing.assert_close(context[..., 0, 0], x[..., :5, :5].mean((-2, -1)))


REFUSED = {
    "no array": ({"target": "speeds"}, {}, r"dataset\.target: .* has no array speeds; did you mean speed"),
    "no context": (
        {"context": "c"},
        {},
        r"dataset\.context: .* has no array c; .*; dataset.context=null for none",
    ),
    "its own context": ({"context": "target"}, {}, r"context=target: is the target too, which it would give"),
    "coarse names": (
        {"coarsen": 2, "context_names": ["coarse_x0", "b", "c"]},
        {},
        "two channels of the context are called coarse_x0",
    ),
    "text": ({}, {"target": np.array(["a"] * 40)}, "target holds <U1, no numbers"),
    "counts": ({}, {"target": np.ones((40, 1, 5, 6), int)}, "target holds whole numbers, whose density"),
    "a table": ({}, {"target": X[:, 0, 0]}, r"target has shape \(40, 6\); expected \(cases, channels, rows"),
    "fewer cases": ({}, {"context": CONTEXT[:30]}, "context has 30 cases, but target 40"),
    "another grid": ({}, {"context": CONTEXT[..., :4]}, "context has 4 columns, but target 6"),
    "too coarse": ({"coarsen": 6}, {}, r"dataset\.coarsen=6: larger than the grid of 5 × 6 cells"),
    "names": ({"names": ["a"]}, {}, r"dataset\.names=\['a'\]: 2 channels need as many names, each its own"),
    "doubled names": ({"names": ["a", "a"]}, {}, "each its own"),
    "too few": ({"val": 0.01}, {}, "leave none for val"),
    "NaN": (
        {},
        {"context": np.where(CONTEXT > 2, np.nan, CONTEXT)},
        "missing or infinite cells, the first at",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cant_be_is_refused_in_one_line(saved, name):
    options, changed, told = REFUSED[name]
    path = saved(**({"target": X, "context": CONTEXT, "speed": X} | changed))
    with pytest.raises(UserError, match=told) as refusal:
        arrays(path, **options)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"text"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no NPZ file of plain arrays"):
        arrays(str(path))
    with pytest.raises(UserError, match="no such file"):
        arrays(str(tmp_path / "b.npz"))


def test_other_arrays_dont_matter(saved):
    path = saved(target=X, context=CONTEXT, notes=np.array([{}], dtype=object))
    assert arrays(path).spec.shape == (2, 5, 6)


def test_objects_are_not_unpickled(saved):
    with pytest.raises(UserError, match="is no NPZ file of plain arrays"):
        arrays(saved(target=np.array([{}], dtype=object), context=CONTEXT))
