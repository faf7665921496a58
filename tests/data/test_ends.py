"""Ends of a table's features that the user knows, in memory and on disk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from composed import run

import flows
from data.table import table
from flows.errors import UserError

ROWS = 400


@pytest.fixture(params=["csv", "npy"])
def path(request, tmp_path):
    """Columns price (above 0), share (between 0 and 1), count (0, 1, …, 9) and debt (below 5)."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "price": generator.lognormal(size=ROWS) + 0.5,
            "share": generator.beta(2, 2, ROWS),
            "count": np.arange(ROWS) % 10,
            "debt": 4 - generator.gamma(2, size=ROWS),
        }
    )
    if request.param == "csv":
        frame.to_csv(tmp_path / "t.csv", index=False)
    else:
        np.save(tmp_path / "t.npy", frame.to_records(index=False))
    return str(tmp_path / f"t.{request.param}")


def opened(path, **options):
    return table(path, mapped=path.endswith("npy"), **options)


def test_ends_are_those_of_cells_where_there_is_a_lattice(path):
    said = {"count": (0, 9), "debt": (None, 5), "price": (0, None), "share": (None, None)}
    assert opened(path, support=said).spec.support == ((0, None), None, (0, 10), (None, 5))


def test_without_any_there_is_no_support(path):
    assert opened(path).spec.support is None
    assert opened(path, support={"price": (None, None)}).spec.support is None


@pytest.mark.parametrize(
    ("support", "line"),
    [
        ({"prise": (0, None)}, "dataset.support.prise: no such feature; did you mean price?"),
        ({"price": (1, None)}, "support.price=[1, null]: column price goes down to 0.5"),
        ({"debt": (None, 0)}, "support.debt=[null, 0]: column debt goes up to 3."),
        ({"count": (1, None)}, "support.count=[1, null]: column count goes down to 0; correct the column"),
        ({"count": (0, 8)}, "support.count=[0, 8]: column count goes up to 9"),
        ({"count": (-0.5, None)}, "support.count=[-0.5, null]: column count goes in steps of 1"),
        ({"share": (1, 0)}, "support.share=[1, 0]: the first has to be the smaller one"),
    ],
)
def test_ends_that_cannot_be_are_refused(path, support, line):
    with pytest.raises(UserError) as caught:
        opened(path, support=support)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_continuous_feature_does_not_reach_its_end(tmp_path):
    file = tmp_path / "t.csv"
    pd.DataFrame({"rain": [0.0, 0.0, 2.5, 1.0, 0.5], "x": [1.5, 2.5, 3, 4, 5]}).to_csv(file, index=False)
    with pytest.raises(UserError, match=r"column rain goes down to 0, on that end or too near it"):
        table(str(file), support={"rain": (0, None)})


def test_levels_have_their_own(tmp_path):
    file = tmp_path / "t.csv"
    pd.DataFrame({"pet": ["cat", "dog"] * 5, "x": np.arange(10) / 4}).to_csv(file, index=False)
    with pytest.raises(UserError, match=r"support.pet=\[0, 1\]: its levels are its range"):
        table(str(file), categorical="dequantise", support={"pet": (0, 1)})


def test_draws_of_a_run_stay_within(path, tmp_path):
    said = "{price: [0, null], share: [0, 1], count: [0, null], debt: [null, 5]}"
    table = ("dataset=table", f"dataset.path={path}", f"dataset.mapped={path.endswith('npy')}".lower())
    small = ("model.layers=2", "trainer.max_steps=30", "logger=csv")
    run(tmp_path / "run", *table, f"dataset.support={said}", *small)
    x = flows.load(str(tmp_path / "run")).sample(2000)
    price, share, count, debt = x.T
    assert price.min() >= 0
    assert 0 <= share.min() < share.max() <= 1
    assert count.min() == 0
    assert count.max() > 9
    assert debt.max() <= 5
