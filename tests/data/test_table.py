"""Your own table: what is read, what becomes of its columns, and what is refused, in one line."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zoo
from hypothesis import given
from hypothesis import strategies as st

from data.reading import read
from data.table import table
from flows.config import build
from flows.errors import UserError
from flows.lattice import dequantise, quantise
from flows.wording import MISSING

ROWS = 30


@pytest.fixture
def numbers():
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "height": generator.normal(size=ROWS),
            "count": generator.integers(-5, 5, ROWS),
            "pet": generator.permutation(["dog", "cat", "newt"] * 10),
            "wild": generator.permutation([True, False] * 15),
        }
    )


def csv(folder, text, name="t.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def written(folder, frame, kind="csv"):
    path = folder / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    elif kind == "npy":
        np.save(path, frame.astype({"pet": "object"}).to_records(index=False, column_dtypes={"pet": "U4"}))
    else:
        np.savez(path, **{name: frame[name].to_numpy(str if name == "pet" else None) for name in frame})
    return str(path)


def everything(points):
    """All examples, whatever part they are in, as sorted rows."""
    parts = [points.source(part).take(slice(None)) for part in ("train", "val", "test")]
    rows = torch.cat([torch.cat([b.x] + ([] if b.context is None else [b.context]), 1) for b in parts])
    return sorted(map(tuple, rows.tolist()))


def refused(path, *lines, **options):
    """The one line in which a table is refused: it names the file and holds these."""
    with pytest.raises(UserError) as caught:
        table(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for line in lines:
        assert line in message, message
    return message


# What is read


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy", "npz"])
def test_every_kind_of_file_gives_the_same_numbers_names_and_types(tmp_path, numbers, kind):
    path = written(tmp_path, numbers, kind)
    points = table(path, categorical="dequantise")
    spec = points.spec
    assert spec.names == ("height", "count", "pet", "wild")
    assert spec.shape == (4,)
    assert spec.dtypes == ("float64", "int64", "str", "bool")
    assert spec.quantum == (None, 1.0, 1.0, 1.0)
    assert spec.support == (None, None, (0.0, 3.0), (0.0, 2.0))
    assert spec.levels == (None, None, ("cat", "dog", "newt"), None)
    codes = {"cat": 0.0, "dog": 1.0, "newt": 2.0}
    expected = numbers.assign(pet=numbers.pet.map(codes), wild=numbers.wild.astype(float))
    assert everything(points) == sorted(map(tuple, expected.to_numpy(float).tolist()))


def test_what_pandas_keeps_as_a_named_index_is_a_column(tmp_path, numbers):
    numbers.set_index("height").to_parquet(tmp_path / "t.parquet")
    assert table(str(tmp_path / "t.parquet"), columns=["height", "count"]).spec.names == ("height", "count")
    numbers.sample(frac=1).to_parquet(tmp_path / "t.parquet")  # one without a name is none
    assert [*read(tmp_path / "t.parquet")] == [*numbers]


def test_floats_alone_are_no_lattice(tmp_path, numbers):
    spec = table(written(tmp_path, numbers), columns=["height"]).spec
    assert (spec.quantum, spec.support, spec.dtypes, spec.levels) == (None, None, ("float64",), None)
    assert (spec.context_names, spec.context_shape) == ((), None)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32"])
def test_types_are_kept(tmp_path, dtype):
    frame = pd.DataFrame({"a": np.arange(ROWS, dtype=dtype), "b": np.arange(ROWS)[::-1]})
    for kind in ("parquet", "npz"):
        path = tmp_path / f"t.{kind}"
        frame.to_parquet(path) if kind == "parquet" else np.savez(path, **dict(frame.items()))
        assert table(str(path)).spec.dtypes == (dtype, "int64")


def test_an_array_without_names_gives_names_in_order(tmp_path):
    array = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(">f4")
    np.save(tmp_path / "t.npy", array)
    np.savez(tmp_path / "t.npz", anything=array)
    for kind in ("npy", "npz"):
        points = table(str(tmp_path / f"t.{kind}"))
        assert points.spec.names == ("x0", "x1", "x2")
        assert points.spec.quantum is None
        assert everything(points) == sorted(map(tuple, array.astype(float).tolist()))


def test_a_byte_order_mark_spaces_and_quotes_are_read(tmp_path):
    body = "".join(f"{k}, {k / 8}\n" for k in range(ROWS))
    points = table(csv(tmp_path, '"a, b (cm)", größe\n' + body, encoding="utf-8-sig"))
    assert points.spec.names == ("a, b (cm)", " größe")
    assert everything(points) == [(k, k / 8) for k in range(ROWS)]


@given(st.lists(st.floats(-1e30, 1e30), min_size=10, max_size=20, unique=True))
def test_floats_are_read_to_the_last_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("floats") / "t.csv"
    pd.DataFrame({"a": values}).to_csv(path, index=False)
    assert read(path)["a"].to_numpy(float).tolist() == values


def test_columns_pick_and_order_and_context_is_given(tmp_path, numbers):
    path = written(tmp_path, numbers)
    points = table(path, columns=["count", "height"], context=["wild", "pet"], categorical="dequantise")
    spec = points.spec
    assert spec.names == ("count", "height")
    assert spec.context_names == ("wild=False", "wild=True", "pet=cat", "pet=dog", "pet=newt")
    assert spec.context_shape == (5,)
    assert spec.context_dtypes == ("bool", "bool", "str", "str", "str")
    assert spec.context_levels == ("False", "True", "cat", "dog", "newt")
    assert spec.context_columns() == {"wild": [0, 1], "pet": [2, 3, 4]}
    assert spec.quantum == (1.0, None)
    hot = [numbers.wild == False, numbers.wild, *(numbers.pet == p for p in ("cat", "dog", "newt"))]  # noqa: E712
    expected = np.column_stack([numbers["count"], numbers.height, *hot]).astype(float)
    assert everything(points) == sorted(map(tuple, expected.tolist()))
    train = points.source("train").take(slice(None))
    assert torch.equal(points.classes("train"), train.context[:, 1].long())  # the first that is categorical


def test_a_number_given_is_one_column_and_the_rest_is_modelled(tmp_path, numbers):
    points = table(written(tmp_path, numbers[["height", "count"]]), context=["count"])
    assert points.spec.names == ("height",)
    assert points.spec.context_names == ("count",)
    assert (points.spec.context_dtypes, points.spec.context_levels) == (("int64",), None)
    assert points.classes("train") is None
    assert everything(points) == sorted(map(tuple, numbers[["height", "count"]].to_numpy().tolist()))


def test_the_seed_deals_and_shares_say_how_many(tmp_path, numbers):
    path = written(tmp_path, numbers[["height", "count"]])
    points = table(path, val=0.2, test=0.4)
    assert [len(points.source(part)) for part in ("train", "val", "test")] == [12, 6, 12]
    again, other = table(path, val=0.2, test=0.4), table(path, val=0.2, test=0.4, seed=1)
    first = [p.source("train").take(slice(None)).x for p in (points, again, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_an_ordered_category_keeps_its_order_and_an_unused_level_goes(tmp_path):
    sizes = pd.Categorical(["small", "large"] * 15, ["small", "large", "vast"], ordered=True)
    frame = pd.DataFrame({"size": sizes, "kind": pd.Categorical(["b", "a"] * 15, ["b", "a"])})
    frame.to_parquet(tmp_path / "t.parquet")
    spec = table(str(tmp_path / "t.parquet"), categorical="dequantise").spec
    assert spec.levels == (("small", "large"), ("a", "b"))
    assert spec.dtypes == ("category", "category")


def test_what_is_read_lies_on_its_lattice(tmp_path, numbers):
    points = table(written(tmp_path, numbers), categorical="dequantise")
    x = points.source("train").take(slice(None)).x
    assert torch.equal(quantise(x, points.spec), x)


def test_a_saved_configuration_builds_it(tmp_path, numbers):
    node = zoo.node("dataset", "table") | {"path": written(tmp_path, numbers), "columns": ["height"]}
    assert build(node, "dataset").spec.names == ("height",)
    with pytest.raises(UserError, match=r"dataset\.path: missing value"):
        build(zoo.node("dataset", "table"), "dataset")
    with pytest.raises(UserError, match="expected refuse or dequantise"):
        build(node | {"categorical": "yes"}, "dataset")
    with pytest.raises(UserError, match=r"dataset\.context='a'"):
        build(node | {"context": "a"}, "dataset")


# What is missing


@pytest.mark.parametrize("cell", ["", "NaN", "NA", "inf", "-inf"])
def test_missing_cells_are_refused_or_dropped_aloud(tmp_path, cell, capsys):
    rows = [f"{k},{k / 8}" for k in range(20)]
    rows[3], rows[7] = f"3,{cell}", f"7,{cell}"
    path = csv(tmp_path, "a,b\n" + "\n".join(rows) + "\n")
    what = "infinite" if "inf" in cell else "missing"
    refused(path, f"{path}: column b, row 4: {what} (2 of 20 rows", "dataset.missing=drop")
    points = table(path, missing="drop")
    assert capsys.readouterr().err == f"{path}: 2 of 20 rows left out, for missing cells in b\n"
    assert points.spec.dtypes == ("int64", "float64")
    assert [x for x, _ in everything(points)] == [k for k in range(20) if k not in (3, 7)]


def test_integers_stay_integers_where_some_are_missing(tmp_path, capsys):
    rows = "".join(f"{k},{'' if k == 5 else k}\n" for k in range(20))
    points = table(csv(tmp_path, "a,b\n" + rows), missing="drop")
    assert points.spec.dtypes == ("int64", "int64")
    assert "1 of 20 rows" in capsys.readouterr().err


def test_a_blank_line_is_a_missing_cell_of_a_single_column(tmp_path):
    path = csv(tmp_path, "a\n1.5\n\n3.5\n4\n")
    refused(path, "column a, row 2: missing (1 of 4 rows")


def test_only_columns_in_use_have_to_be_whole(tmp_path, capsys):
    path = csv(tmp_path, "a,b\n" + "".join(f"{k / 8},\n" for k in range(20)))
    assert table(path, columns=["a"]).spec.names == ("a",)
    assert capsys.readouterr().err == ""
    refused(path, "20 of 20 rows have missing cells in b", missing="drop")


def test_rows_are_named_as_the_file_counts_them_after_some_are_dropped(tmp_path):
    rows = [f"{k / 8},{k}" for k in range(20)]
    rows[2], rows[5] = ",2", "0.1,99999999"
    refused(csv(tmp_path, "a,b\n" + "\n".join(rows)), "column b, row 6: 99999999", missing="drop")


# What has no density


@pytest.mark.parametrize(
    ("column", "lines"),
    [
        (["dog", "cat"] * 10, ["column b holds text, such as 'dog'", "dataset.categorical=dequantise"]),
        (["True", "False"] * 10, ["column b holds true and false", "dataset.categorical=dequantise"]),
        ([*range(9), "abc", *range(9), "x"], ["column b, row 10: 'abc' is no number (2 of 20 rows)"]),
        (["0.1"] * 20, ["column b is 0.1 in all 20 rows", "infinite"]),
        ([k / 8 for k in range(20)], ["columns a and b are equal in all rows", "infinite"]),
        ([-0.0, *(k / 8 for k in range(1, 20))], ["columns a and b are equal in all rows"]),
        ([1e39, *range(19)], ["column b, row 1: 1e+39 is beyond ±1e+38", "rescale"]),
        ([*range(19), -(2**15) - 1], ["column b, row 20: -32769 is beyond ±32768", "offset"]),
        ([1e9 + k / 8 for k in range(20)], ["column b extends over 2.4 about 1e+09", "offset"]),
    ],
)
def test_a_column_without_a_finite_density_is_refused_by_name(tmp_path, column, lines):
    path = csv(tmp_path, "a,b\n" + "".join(f"{k / 8},{cell}\n" for k, cell in enumerate(column)))
    refused(path, f"{path}: ", *lines)
    assert table(path, columns=["a"]).spec.names == ("a",)


def test_dequantise_codes_no_column_of_numbers_with_a_slip_in_it(tmp_path):
    rows = "".join(f"{k / 8},{k if k != 4 else '4O'}\n" for k in range(20))
    refused(csv(tmp_path, "a,b\n" + rows), "row 5: '4O' is no number (1 of 20", categorical="dequantise")


def test_large_floats_and_repeated_ones_pass(tmp_path):
    rows = "".join(f"{k * 1e30},{k % 3 / 8}\n" for k in range(20))
    assert table(csv(tmp_path, "a,b\n" + rows)).spec.quantum is None


@pytest.mark.parametrize("mapped", [False, True])
def test_constant_and_equal_integers_are_harmless_and_named(tmp_path, mapped, capsys):
    rows = [[k, k, 7, 7, k % 3] for k in range(20)]
    np.save(tmp_path / "t.npy", np.array(rows))
    path = str(tmp_path / "t.npy")
    points = table(path, names=[*"abcde"], mapped=mapped)
    assert points.spec.quantum == (1.0,) * 5
    constant, equal = capsys.readouterr().err.splitlines()
    assert constant.startswith(f"{path}: columns c, d are each the same in all rows")
    assert equal.startswith(f"{path}: columns a, b are equal in all rows")
    table(path, names=[*"abcde"], mapped=mapped, columns=["a", "e", "d"])
    assert capsys.readouterr().err.startswith(f"{path}: column d is the same in all rows")
    table(path, names=[*"abcde"], mapped=mapped, columns=["a", "e"])
    assert capsys.readouterr().err == ""


def test_only_numbers_that_are_learned_are_named_as_equal(tmp_path, capsys):
    path = csv(
        tmp_path, "x,c,d,s,b\n" + "".join(f"{k / 8},{k},{k},{'fm'[k % 2]},{k % 2}\n" for k in range(20))
    )
    table(path, columns=["x"], context=["c", "d"])
    table(path, columns=["x", "s", "b"], categorical="dequantise")
    assert capsys.readouterr().err == ""


def test_of_a_single_column_a_blank_line_is_a_row(tmp_path):
    refused(csv(tmp_path, "a\n1.5\n\n3,4\n"), "row 3 has 2 cells, but the header 1 names")
    refused(csv(tmp_path, "a,b\n1.5,2\n\n3,4,5\n"), "row 2 has 3 cells, but the header 2 names")


def test_a_feature_equal_to_what_is_given_is_refused(tmp_path):
    path = csv(tmp_path, "a,b\n" + "".join(f"{k}.0,{k}\n" for k in range(-10, 10)))
    refused(path, "columns a and b are equal", context=["b"])
    assert table(path, context=["a"]).spec.names == ("b",)  # an integer is spread over its cell


def test_a_given_column_that_is_constant_in_training_is_refused(tmp_path):
    rows = "".join(f"{k / 8},{k},7,{'rare' if k == 3 else 'usual'}\n" for k in range(20))
    path = csv(tmp_path, "a,b,c,d\n" + rows)
    refused(
        path,
        "column c is 7.0 in all 14 rows of the training part",
        context=["c", "b", "d"],
        columns=["a"],
        categorical="dequantise",
    )
    seeds = [seed for seed in range(9) if 3 not in _places(path, seed)]
    refused(
        path,
        "column d=rare is 0.0 in all 14 rows of the training part",
        columns=["a"],
        context=["d"],
        categorical="dequantise",
        seed=seeds[0],
    )


def _places(path, seed):
    return table(path, columns=["b"], seed=seed).source("train").take(slice(None)).x.flatten().tolist()


def test_other_kinds_of_cells_are_refused(tmp_path):
    frame = pd.DataFrame({"a": np.arange(20) / 8, "t": pd.date_range("2020-01-01", periods=20)})
    frame.to_parquet(tmp_path / "t.parquet")
    refused(str(tmp_path / "t.parquet"), "column t holds datetime64", "neither numbers nor text")
    np.savez(tmp_path / "t.npz", a=np.arange(20) * 1j)
    refused(str(tmp_path / "t.npz"), "column a holds complex128")


# What is no table


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "empty; expected a header and rows"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n", "has a single row"),
        ("a,b\n1,2\n3,4,5\n", "row 2 has 3 cells, but the header 2 names"),
        ("a,b\n1,2,3\n4,5,6\n", "row 1 has 3 cells, but the header 2 names"),
        ('a,b\n\n1,2\n \n3,"4\n4"\n5,6,7\n', "row 3 has 3 cells, but the header 2 names"),
        ('a,b\n\n1,2\n \n3,"4\n4"\n5,\n', "column b, row 3: missing (1 of 3 rows"),
        ("a,b\n1,2\n3\n", "column b, row 2: missing (1 of 2 rows"),
        ("a;b\n1;2\n3;4\n", "single column, 'a;b': is it separated by semicolons? save it with commas"),
        ("a;b\n1,5;2\n3;4\n", "separated by semicolons"),
        ("a\tb\n1\t2\n3\t4\n", "separated by tabs"),
        ("a|b\n1|2\n3|4\n", "separated by bars"),
        ("a,b,a\n1,2,3\n4,5,6\n", "2 columns are called a; rename them"),
        ("1.5,2\n3,4\n5,6\n", "the first row is all numbers"),
        (",a\n0,1.5\n1,2.5\n", "column 1 has no name"),
        ('a,b\n1,"2\n3,4\n', "can't be read as CSV"),
        ("\0" * 100, "has no rows"),
    ],
)
def test_text_that_is_no_table_is_refused_in_one_line(tmp_path, text, line):
    path = csv(tmp_path, text)
    refused(path, f"{path}: ", line)


def test_a_table_of_numbered_columns_is_one(tmp_path):
    path = csv(tmp_path, "0,1\n" + "".join(f"{k / 8},{k}\n" for k in range(20)))
    assert table(path).spec.names == ("0", "1")


def test_other_encodings_and_garbage_are_refused(tmp_path):
    refused(csv(tmp_path, "größe\n1\n2\n", encoding="latin-1"), "is no UTF-8 text")
    refused(csv(tmp_path, "a,b\n1,2\n", encoding="utf-16"), "is no UTF-8 text")
    garbage = np.random.default_rng(0).bytes(4000)
    for kind in ("csv", "parquet", "npy", "npz"):
        path = tmp_path / f"garbage.{kind}"
        path.write_bytes(garbage)
        refused(str(path), f"{path}: ")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("none.csv", "none.csv: no such file"),
        ("none.parquet", "none.parquet: no such file"),
        ("none.npy", "none.npy: no such file"),
        ("folder.csv", "folder.csv: is a folder"),
        ("t.xlsx", "t.xlsx: give a file that ends in .csv, .parquet, .npy, .npz"),
        ("t", "give a file that ends in"),
        ("", "give a file that ends in"),
        ("a" * 300 + ".csv", "can't be read as CSV"),
        ("a\0.csv", "can't be read as CSV"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, monkeypatch, name, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    refused(name, line)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"a": np.zeros(3), "b": np.zeros(4)}, "shapes (3,), (4,); expected"),
        ({"a": np.zeros((3, 2)), "b": np.zeros((3, 2))}, "shapes (3, 2), (3, 2); expected"),
        ({"a": np.zeros((3, 2, 1))}, "shape (3, 2, 1); expected"),
        ({}, "shapes none; expected"),
        ({"a": np.array([{}, {}])}, "holds no arrays of numbers or text"),  # pickled, so not opened
    ],
)
def test_arrays_that_are_no_table_are_refused(tmp_path, arrays, line):
    np.savez(tmp_path / "t.npz", **arrays)
    refused(str(tmp_path / "t.npz"), line)


def test_one_long_row_is_no_table(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros(5))
    refused(str(tmp_path / "t.npy"), "shape (5,); expected rows × columns")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"columns": ["hieght"]},
            "dataset.columns: t.csv has no column hieght; did you mean height? columns: count",
        ),
        ({"context": ["Pet"]}, "dataset.context: t.csv has no column Pet; did you mean pet?"),
        ({"columns": ["height"], "context": ["height"]}, "height is in dataset.context too"),
        ({"columns": ["height", "height"]}, "dataset.columns: names height twice"),
        ({"columns": []}, "no column is left to model"),
        ({"columns": ["height"], "context": ["pet"]}, "column pet holds text"),
        ({"columns": ["height"], "val": 0.0}, "leave none for val"),
        ({"columns": ["height"], "val": 0.5, "test": 0.5}, "leave none for train"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path, monkeypatch, numbers, options, line):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, numbers)
    refused("t.csv", line, **options)


def test_yaml_lists_every_argument_and_its_default():
    import inspect

    defaults = {name: p.default for name, p in inspect.signature(table).parameters.items()}
    node = yaml.safe_load((zoo.CONF / "dataset" / "table.yaml").read_text())
    assert node.pop("_target_") == "data.table.table"
    assert node == defaults | {"path": "???", "context": []}
    assert re.match("# .+\n", (zoo.CONF / "dataset" / "table.yaml").read_text())


@pytest.mark.parametrize("mark", [mark for mark in MISSING if mark])
def test_every_mark_of_a_missing_cell_is_one(tmp_path, mark):
    (tmp_path / "t.csv").write_text(
        "a,b\n" + "".join(f"{k / 8},{k / 4}\n" for k in range(20)) + f"1.5,{mark}\n"
    )
    with pytest.raises(UserError, match="column b, row 21: missing"):
        table(str(tmp_path / "t.csv"))


def test_an_array_that_was_cut_short_is_called_so(tmp_path):
    np.save(tmp_path / "t.npy", np.random.default_rng(0).normal(size=(100, 3)))
    (tmp_path / "t.npy").write_bytes((tmp_path / "t.npy").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"can't be read as NPY \(.*fully written"):
        table(str(tmp_path / "t.npy"))


def test_a_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{k},{k / 4}\n" for k in range(20)))
    assert table("~/t.csv").spec.names == ("a", "b")


# Floats that were recorded in steps


def test_recorded_floats_are_a_lattice_that_draws_and_scores_keep(tmp_path):
    rows = [f"{k % 7 / 10},{k / 3}" for k in range(60)]
    points = table(csv(tmp_path, "a,b\n" + "\n".join(rows)), quantum={"a": 0.1}, support={"a": (0.0, None)})
    spec = points.spec
    assert (spec.quantum, spec.dtypes, spec.support) == (
        (0.1, None),
        ("float64", "float64"),
        ((0.0, None), None),
    )
    x = torch.cat([points.source(part).take(slice(None)).x for part in ("train", "val", "test")])
    assert {f"{value:.3g}" for value in x[:, 0].tolist()} == {f"{k / 10:.3g}" for k in range(7)}
    spread = dequantise(x.float(), spec, torch.Generator().manual_seed(0))
    assert not torch.equal(spread[:, 0], x[:, 0].float())
    torch.testing.assert_close(quantise(spread, spec), x.float())


@pytest.mark.parametrize(
    ("quantum", "says"),
    [
        ({"a": 0.2}, "dataset.quantum.a=0.2: 0.1 is no multiple of it, as 26 of 60 values; give the step"),
        ({"b": 1.0}, "dataset.quantum.b: column b holds int64, a lattice by itself"),
        ({"c": 1.0}, "dataset.quantum.c: no such feature"),
    ],
)
def test_a_step_that_is_none_of_the_column_is_refused(tmp_path, quantum, says):
    rows = [f"{k % 7 / 10},{k}" for k in range(60)]
    refused(csv(tmp_path, "a,b\n" + "\n".join(rows)), says, quantum=quantum)


@pytest.mark.parametrize(("step", "many"), [(7, True), (60, False)])
def test_values_that_recur_are_doubted_aloud(tmp_path, capsys, step, many):
    table(csv(tmp_path, "a,b\n" + "\n".join(f"{k % step / 10},{k}" for k in range(60))))
    said = capsys.readouterr().err
    assert ("column a: 60 of 60 values recur" in said and "dataset.quantum={a: 0.1}?" in said) == many
    assert said.count("\n") == many
