"""Drawing what isn't known, given what is."""

from __future__ import annotations

from pathlib import Path

import composed
import pandas as pd
import pytest

import flows
from flows.core import AnySubset
from flows.errors import UserError
from flows.evaluation.tasks import perform
from flows.wording import MISSING

SMALL = ("runtime=cpu", "logger=csv", "trainer.max_steps=30", "trainer.validate_every=10")
TINY = ("model=masked_transformer", "trainer=masked", "model.width=16", "model.layers=1", "model.octaves=2")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "picture"
    composed.run(
        folder,
        *("dataset=xyrgb", "dataset.n=400", *TINY, *SMALL),
        *("trainer.max_steps=200", "trainer.optimizer.lr=1e-2", "trainer.warmup=10"),
    )
    return folder


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """Ages and kinds under a context, with a column of names that no model sees."""
    folder = tmp_path_factory.mktemp("pets")
    rows = [f"{k % 17},{('cat', 'dog')[k % 3 == 0]},{k * 0.37 % 1}" for k in range(300)]
    (folder / "pets.csv").write_text("age,kind,size\n" + "\n".join(rows) + "\n")
    table = (
        f"dataset.path={folder / 'pets.csv'}",
        "dataset.categorical=dequantise",
        "dataset.context=[size]",
    )
    composed.run(folder / "run", "dataset=table", *table, *TINY, *SMALL)
    return folder / "run"


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "flow"
    composed.run(folder, "dataset=moons", "dataset.n_train=100", "model.layers=2", *SMALL)
    return folder


@pytest.fixture(scope="module")
def flow_of_table(tmp_path_factory):
    """Two columns of floats, under a masked transformer."""
    folder = tmp_path_factory.mktemp("floats")
    rows = [f"{k * 0.37 % 1:.4f},{k * 0.61 % 1:.4f}" for k in range(300)]
    (folder / "floats.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    composed.run(folder / "run", "dataset=table", f"dataset.path={folder / 'floats.csv'}", *TINY, *SMALL)
    return folder / "run"


def impute(run: Path, **options):
    perform({"task": "impute", "run": str(run), **options})


def test_colours_are_drawn_at_a_place(picture, tmp_path, capsys):
    impute(picture, observed={"x": 0.3, "y": 0.5}, n=50, output=str(tmp_path / "out.csv"))
    table = pd.read_csv(tmp_path / "out.csv")
    assert [*table] == ["x", "y", "r", "g", "b"]
    assert len(table) == 50
    assert (table.x == 0.3).all()
    assert (table.y == 0.5).all()
    levels = table[["r", "g", "b"]] * 255
    assert (abs(levels - levels.round()) < 1e-4).all(axis=None)
    assert table.r.nunique() > 10
    said = capsys.readouterr().out
    assert "50%" in said
    assert f"50 draws: {tmp_path / 'out.csv'}" in said


def test_without_an_output_it_lies_with_the_run(picture):
    impute(picture, observed={"x": 0.3}, n=5)
    assert len(pd.read_csv(picture / "evaluation" / "imputed.csv")) == 5


def test_equal_seeds_give_equal_files(picture, tmp_path):
    texts = []
    for seed in (0, 0, 1):
        impute(picture, observed={"x": 0.3}, n=20, seed=seed, output=str(tmp_path / "out.csv"))
        texts.append((tmp_path / "out.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_table_is_filled_and_what_it_says_stays_to_the_letter(picture, tmp_path):
    lines = [
        "note,b,x,y,r,g",
        "one,,0.30,0.50,,",
        "two,0.5,,,0.500,5e-1",
        "three,.1,.2,.3,.4,.5",
        '"a, b",,,,,',
    ]
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    impute(picture, input=str(tmp_path / "in.csv"), output=str(tmp_path / "out.csv"))
    before, after = (
        pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False) for name in ("in.csv", "out.csv")
    )
    assert [*after] == [*before]
    given = before != ""
    assert (after[given] == before[given]).where(given, True).all(axis=None)
    assert (after != "").all(axis=None)
    assert all(0 <= float(cell) <= 1 for cell in after.drop(columns="note").to_numpy().ravel())


def test_levels_integers_and_contexts(pets, tmp_path):
    (tmp_path / "in.csv").write_text("kind,age,size\ndog,,0.5\n,3,0.1\n,,0.9\n")
    impute(pets, input=str(tmp_path / "in.csv"), output=str(tmp_path / "out.csv"))
    table = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert table.kind[0] == "dog"
    assert table.age[1] == "3"
    assert set(table.kind) <= {"cat", "dog"}
    assert all(age.lstrip("-").isdigit() for age in table.age)
    with pytest.raises(UserError, match=r"observed\.age=3\.5: expected a whole number"):
        impute(pets, observed={"age": 3.5}, context=[0.5], n=7)
    (tmp_path / "broken.csv").write_text("kind,age,size\n,3,0.5\n,2.5,0.1\n")
    with pytest.raises(UserError, match=r"column age, row 2: 2\.5, expected a whole number \(1 of 2 rows\)"):
        impute(pets, input=str(tmp_path / "broken.csv"))
    impute(pets, observed={"kind": "cat"}, context=[0.5], n=7, output=str(tmp_path / "out.csv"))
    assert set(pd.read_csv(tmp_path / "out.csv").kind) == {"cat"}


def test_a_parquet_table_is_filled_in_its_own_types(pets, tmp_path):
    frame = pd.DataFrame(
        {
            "kind": ["cat", None, "dog", None],
            "age": pd.array([3, 5, None, None], dtype="Int64"),
            "size": [0.5, 0.25, 0.5, 0.125],
            "when": pd.date_range("2026-01-01", periods=4),
        }
    )
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    impute(pets, input=str(tmp_path / "in.parquet"), output=str(tmp_path / "out.parquet"))
    filled = pd.read_parquet(tmp_path / "out.parquet", dtype_backend="numpy_nullable")
    assert filled.dtypes.drop("kind").tolist() == frame.convert_dtypes().dtypes.drop("kind").tolist()
    assert filled.notna().to_numpy().all()
    assert filled.kind.isin(["cat", "dog"]).all()
    for name in frame:
        given = frame[name].notna()
        assert filled[name][given].tolist() == frame[name][given].tolist()
    impute(pets, input=str(tmp_path / "in.parquet"))
    pd.testing.assert_frame_equal(
        pd.read_parquet(pets / "evaluation" / "imputed.parquet", dtype_backend="numpy_nullable"), filled
    )


def test_what_was_drawn_fits_into_columns_of_other_types(flow_of_table, pets, tmp_path):
    whole = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [0.5, 0.25]})
    whole.to_parquet(tmp_path / "in.parquet", index=False)
    impute(flow_of_table, input=str(tmp_path / "in.parquet"), output=str(tmp_path / "out.parquet"))
    filled = pd.read_parquet(tmp_path / "out.parquet")
    assert filled.a.dtype.kind == "f"
    assert filled.a[0] == 1
    kinds = pd.Categorical(["cat", None, None, None], categories=["cat"])
    small = pd.array([3, None, None, None], dtype="UInt8")
    rows = pd.DataFrame({"kind": kinds, "age": small, "size": [0.5] * 4})
    rows.to_parquet(tmp_path / "in.parquet", index=False)
    for seed in range(5):
        impute(pets, input=str(tmp_path / "in.parquet"), output=str(tmp_path / "out.parquet"), seed=seed)
        filled = pd.read_parquet(tmp_path / "out.parquet")
        assert filled.kind.isin(["cat", "dog"]).all()
        assert filled.age[0] == 3
        assert filled.age.notna().all()


def test_what_is_observed_matters(picture, tmp_path):
    model = flows.load(picture, raw=True)
    assert isinstance(model, AnySubset)
    means = []
    for r in (0.2, 0.8):
        impute(picture, observed={"r": r}, n=2000, output=str(tmp_path / "out.csv"))
        means.append(pd.read_csv(tmp_path / "out.csv").x.mean())
    assert means[1] - means[0] > 0.1  # red rises to the right


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give either observed="),
        ({"observed": {"x": 0.1}, "input": "in.csv"}, "give either observed="),
        ({"observed": {"z": 0.1}}, "observed.z: no such feature"),
        ({"observed": {"x": 1.5}}, "observed.x=1.5: out of its range, 0 to 0.996667"),
        ({"observed": {"r": 1.0039}}, "observed.r=1.0039: out of its range, 0 to 1"),
        ({"observed": {"x": "left"}}, "observed.x=left: expected a finite number"),
        ({"observed": {"x": 0.1}, "context": [1.0]}, "context=[1.0]: this run's model takes no context"),
        ({"observed": {"x": 0.1}, "output": "out.txt"}, "give a name that ends in .csv"),
        ({"input": "nowhere.csv"}, "nowhere.csv: no such file"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(picture, options, said):
    with pytest.raises(UserError) as refusal:
        impute(picture, **options)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_table_out_of_range_is_refused(picture, tmp_path):
    (tmp_path / "in.csv").write_text("x,y,r,g,b\n0.3,0.5,,,\n0.3,0.5,NA,5.0,\n")
    with pytest.raises(UserError, match=r"column g, row 2: 5 is out of its range, 0 to 1 \(1 of 2 rows\)"):
        impute(picture, input=str(tmp_path / "in.csv"), output=str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_marks_of_what_is_missing_are_filled_in_no_more_digits_than_the_model_has(flow_of_table, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n0.1,NA\nnull,0.2\n")
    impute(flow_of_table, input=str(tmp_path / "in.csv"), output=str(tmp_path / "out.csv"))
    filled = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert filled.notna().to_numpy().all()
    assert filled.a[0] == "0.1"
    assert max(len(cell.lstrip("-").replace(".", "").lstrip("0")) for cell in (filled.b[0], filled.a[1])) <= 9


def test_an_unknown_level_is_refused(pets):
    with pytest.raises(UserError, match=r"observed.kind=bird: no such level; .*cat, dog"):
        impute(pets, observed={"kind": "bird"}, context=[0.5])
    with pytest.raises(UserError, match="a value for each"):
        impute(pets, observed={"kind": "cat"})


def test_a_flow_does_not_know_every_conditional(flow):
    with pytest.raises(UserError, match="model=masked_transformer"):
        impute(flow, observed={"x": 0.1})


def test_the_end_of_a_lattices_last_cell_is_no_value_of_a_table_either(picture, tmp_path):
    """Nor of `observed`, with the same words."""
    (tmp_path / "in.csv").write_text("x,y,r,g,b\n0.3,0.5,1.00392,,\n")
    for options in ({"input": str(tmp_path / "in.csv")}, {"observed": {"r": 1.00392}}):
        with pytest.raises(UserError, match=r"out of its range, 0 to 1( |$)"):
            impute(picture, output=str(tmp_path / "out.csv"), **options)


@pytest.mark.parametrize("mark", [mark for mark in MISSING if mark])
def test_what_training_takes_for_missing_is_filled(picture, tmp_path, mark):
    (tmp_path / "in.csv").write_text(f"x,y,r,g,b\n0.3,0.5,{mark},0,0\n")
    impute(picture, input=str(tmp_path / "in.csv"), output=str(tmp_path / "out.csv"))
    assert 0 <= float(pd.read_csv(tmp_path / "out.csv").r[0]) <= 1
