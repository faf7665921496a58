"""Tables that can't be trained on: what tests/data/test_table.py doesn't cause already."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from data.table import table
from flows.cli import entry
from flows.errors import UserError
from flows.models.realnvp import realnvp

ROWS = 40


@pytest.mark.parametrize(
    ("cell", "what"), [(np.nan, "missing"), (None, "missing"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
def test_row_17_a_hole_in_parquet_is_named_with_column_row_and_count(tmp_path, cell, what):
    holed = pd.Series(np.arange(ROWS) / 8, dtype=object)
    holed[[4, 9]] = cell
    frame = pd.DataFrame({"a": np.arange(ROWS) / 4, "b": holed.astype("Float64" if cell is None else float)})
    path = tmp_path / "t.parquet"
    frame.to_parquet(path, index=False)
    with pytest.raises(UserError) as refusal:
        table(str(path))
    assert str(refusal.value).startswith(f"{path}: column b, row 5: {what} (2 of {ROWS} rows are so)")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\rb"])
def test_row_19_a_columns_name_writes_no_line_of_its_own(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr("sys.argv", ["train.py"])
    pd.DataFrame({name: ["x"] * ROWS, "b": range(ROWS)}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(SystemExit) as leaving:
        entry("config")(lambda _: table(str(tmp_path / "t.csv")))()
    assert leaving.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said[:-1].isprintable()


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1.0])
def test_row_20_numbers_of_any_size_give_finite_likelihoods(tmp_path, scale):
    values = np.random.default_rng(0).normal(size=(ROWS, 2)) * scale
    pd.DataFrame(values, columns=["a", "b"]).to_csv(tmp_path / "t.csv", index=False)
    points = table(str(tmp_path / "t.csv"))
    batch = points.source("train").to(torch.device("cpu"), torch.float32).take(slice(None))
    model = realnvp(points.spec, layers=2, width=8)
    with torch.no_grad():
        model.initialise(batch)
        found = model.log_prob(batch.x)
    usual = -0.5 * 2 * np.log(2 * np.pi) - 2 * np.log(scale) - 1
    assert found.isfinite().all()
    assert abs(float(found.mean()) - usual) < 1.5


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_row_20_integers_that_floats_cant_count_are_refused_with_row_and_number(tmp_path, kind, value):
    frame = pd.DataFrame({"a": [*range(ROWS - 1), value]})
    path = tmp_path / f"t.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    with pytest.raises(UserError, match=rf"column a, row {ROWS}: .* is beyond ±32768"):
        table(str(path))


def test_row_20_doubles_beyond_single_precision_are_refused_with_row_and_number(tmp_path):
    pd.DataFrame({"a": [*np.arange(ROWS - 1) / 8, 1e300]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=rf"column a, row {ROWS}: 1e\+300 is beyond ±1e\+38"):
        table(str(tmp_path / "t.csv"))
