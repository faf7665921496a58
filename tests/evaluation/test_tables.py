"""Examples to a table of the data's own types, and a table's cells back."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.core import Spec
from flows.errors import UserError
from flows.evaluation.tables import exact, frame, read

SPEC = Spec(
    names=("height", "count", "pet", "wild"),
    shape=(4,),
    support=(None, None, (0.0, 3.0), (0.0, 2.0)),
    quantum=(None, 1.0, 1.0, 1.0),
    dtypes=("float64", "uint8", "str", "bool"),
    levels=(None, None, ("cat", "dog", "sea cow"), None),
)
GIVEN = SPEC._replace(context_names=("age", "pen=a", "pen=b"), context_shape=(3,))
X = torch.tensor([[0.5, 3.0, 2.0, 1.0], [-1.25, 250.0, 0.0, 0.0]])


def saved(folder, text):
    path = folder / "in.csv"
    path.write_text(text)
    return path


def back(folder, text, spec=SPEC, **options):
    return read(saved(folder, text), spec, torch.float32, **options)


def refused(folder, text, line, spec=SPEC, **options):
    with pytest.raises(UserError) as caught:
        back(folder, text, spec, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / 'in.csv'}: ")
    assert line in message, message


# To a table


def test_columns_are_of_the_types_the_data_had():
    table = frame(X, None, SPEC)
    assert list(table.columns) == list(SPEC.names)
    assert [str(dtype) for dtype in table.dtypes] == ["float32", "uint8", "str", "bool"]
    assert table.to_csv(index=False).splitlines()[1:] == ["0.5,3,sea cow,True", "-1.25,250,cat,False"]


def test_contexts_stand_beside():
    context = torch.tensor([[1.5, 1.0, 0.0], [2.5, 0.0, 1.0]])
    table = frame(X, context, GIVEN)
    assert list(table.columns) == [*GIVEN.names, *GIVEN.context_names]
    np.testing.assert_array_equal(table[[*GIVEN.context_names]].to_numpy(), context.numpy())


TYPED = GIVEN._replace(
    context_dtypes=("int64", "str", "str"),
    context_levels=(None, "a", "b"),
    dtypes=("float32", *SPEC.dtypes[1:]),
)


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_contexts_come_out_as_they_came_in(dtype):
    """A number that single precision lacks, too."""
    context = torch.tensor([[2**53 - 1, 0, 1], [3, 1, 0]], dtype=torch.float64)
    table = frame(X, context, TYPED._replace(context_dtypes=("int64", dtype, dtype)))
    assert list(table.columns) == [*SPEC.names, "age", "pen"]
    assert [str(each) for each in table.dtypes[4:]] == ["int64", dtype]
    assert table.age.tolist() == [2**53 - 1, 3]
    assert table.pen.tolist() == ["b", "a"]


def test_truth_and_floats_that_are_given_come_out_too():
    spec = GIVEN._replace(
        context_names=("size", "wide=False", "wide=True"),
        context_dtypes=("float64", "bool", "bool"),
        context_levels=(None, "False", "True"),
    )
    table = frame(X, torch.tensor([[0.1, 0, 1], [1 / 3, 1, 0]], dtype=torch.float64), spec)
    assert (table["size"].tolist(), table.wide.tolist()) == ([0.1, 1 / 3], [True, False])
    assert [str(each) for each in table.dtypes[4:]] == ["float64", "bool"]


def test_a_context_of_no_level_stays_in_its_parts():
    table = frame(X, torch.tensor([[35.5, 0.3, 0.7], [3.0, 0.0, 1.0]], dtype=torch.float64), TYPED)
    assert list(table.columns) == [*SPEC.names, *GIVEN.context_names]
    assert table["pen=b"].tolist() == [0.7, 1.0]
    assert table.age.tolist() == [35.5, 3.0]


def test_floats_have_the_datas_type_and_no_more_digits_than_were_drawn():
    spec = Spec(("a", "b"), (2,), dtypes=("float64", "float32"))
    table = frame(torch.tensor([[0.1, 0.2]]), None, spec)
    assert table.to_csv(index=False).split() == ["a,b", "0.1,0.2"]
    wide = exact(table, spec)
    assert [str(dtype) for dtype in wide.dtypes] == ["float64", "float32"]
    assert wide.a[0] == 0.1
    narrow = frame(torch.tensor([[0.1, 0.2]], dtype=torch.float64), None, spec)
    assert [str(dtype) for dtype in narrow.dtypes] == ["float64", "float32"]
    assert narrow.to_csv(index=False).split() == ["a,b", "0.1,0.2"]
    assert frame(torch.tensor([[0.0, 1e300]], dtype=torch.float64), None, spec).b[0] == 1e300


def test_a_lattice_without_types_is_of_floats():
    table = frame(X, None, SPEC._replace(dtypes=None, levels=None))
    assert {str(dtype) for dtype in table.dtypes} == {"float32"}
    np.testing.assert_array_equal(table.to_numpy(), X.numpy())


def test_a_category_is_one_again():
    table = frame(X, None, SPEC._replace(dtypes=("float64", "uint8", "category", "bool")))
    assert list(table.pet.cat.categories) == ["cat", "dog", "sea cow"]
    assert list(table.pet) == ["sea cow", "cat"]


@pytest.mark.parametrize(
    ("value", "dtype", "written"),
    [
        (255.0, "uint8", "255"),
        (2.5, "float64", "2.5"),
        (256.0, "int64", "256"),
        (-1.0, "int64", "-1"),
        (1e30, "float64", "1e+30"),
    ],
)
def test_an_integer_that_its_type_cannot_hold_is_not_wrapped_round(value, dtype, written):
    table = frame(torch.tensor([[0.0, value, 0.0, 0.0]], dtype=torch.float64), None, SPEC)
    assert str(table["count"].dtype) == dtype
    assert table["count"].to_csv(index=False, header=False).strip() == written


def test_what_is_no_number_is_no_level_and_no_truth_either():
    table = frame(torch.full((1, 4), torch.nan), None, SPEC)
    assert table.to_csv(index=False).splitlines()[1] == ",,,"
    between = frame(torch.tensor([[1.0, 2.0, 0.5, 0.5], [1.0, 2.0, 3.0, 2.0]]), None, SPEC)
    assert between.pet.isna().all()
    assert between.wild.tolist() == [0.5, 2.0]


# And back


@given(st.data())
def test_a_table_read_back_is_what_it_was(tmp_path_factory, data):
    n = data.draw(st.integers(1, 5))
    columns = [
        data.draw(st.lists(values, min_size=n, max_size=n))
        for values in (
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(-1000, 1000),
            st.integers(0, 2),
            st.integers(0, 1),
        )
    ]
    x = torch.tensor(columns, dtype=torch.float32).T
    path = tmp_path_factory.mktemp("back") / "in.csv"
    frame(x, None, SPEC).to_csv(path, index=False)
    rows = read(path, SPEC, torch.float32)
    assert torch.equal(rows.x.float(), x)
    assert rows.context is None
    assert not any(holes.any() for holes in rows.empty.values())


def test_cells_stay_as_they_are_written_in_any_order_and_among_others(tmp_path):
    rows = back(tmp_path, "wild,id,pet,count,height\ntrue,007,dog, 3,1e0\nFalse,NA,sea cow,4.0,2\n")
    assert rows.x.tolist() == [[1.0, 3.0, 1.0, 1.0], [2.0, 4.0, 2.0, 0.0]]
    assert rows.table.id.tolist() == ["007", "NA"]
    assert rows.table.height.tolist() == ["1e0", "2"]
    assert list(rows.table.columns) == ["wild", "id", "pet", "count", "height"]


@pytest.mark.parametrize(
    ("yes", "no"), [("True", "False"), ("true", "false"), ("1", "0"), ("1.0", "0.0"), ("TRUE", "FALSE")]
)
def test_truth_is_read_however_it_is_written(tmp_path, yes, no):
    text = f"height,count,pet,wild\n1,2,cat,{yes}\n1,2,cat,{no}\n"
    assert back(tmp_path, text).x[:, 3].tolist() == [1, 0]


def test_contexts_are_read_one_hot_or_by_the_name_of_their_level(tmp_path):
    head, row = "height,count,pet,wild,age", "1,2,cat,True,3.5"
    hot = back(tmp_path, f"{head},pen=a,pen=b\n{row},0,1\n{row},1,0\n", GIVEN)
    named = back(tmp_path, f"{head},pen\n{row},b\n{row},a\n", GIVEN)
    assert hot.context.tolist() == named.context.tolist() == [[3.5, 0.0, 1.0], [3.5, 1.0, 0.0]]
    assert list(named.table.columns) == [*head.split(","), "pen"]
    line = "column pen, row 2: 'c' is none of its levels (1 of 2 rows have none there); levels: a, b"
    refused(tmp_path, f"{head},pen\n{row},b\n{row},c\n", line, GIVEN)
    refused(tmp_path, f"{head}\n{row}\n", "lacks 2 of 7 columns: pen=a, pen=b", GIVEN)


def test_a_column_with_an_equals_sign_in_its_name_may_have_levels(tmp_path):
    spec = SPEC._replace(
        context_names=("a=b=1", "a=b=2"),
        context_shape=(2,),
        context_levels=("1", "2"),
        context_dtypes=("str",) * 2,
    )
    rows = back(tmp_path, "height,count,pet,wild,a=b\n1,2,cat,True,2\n", spec)
    assert rows.context.tolist() == [[0.0, 1.0]]


def test_empty_cells_are_told_where_they_may_be(tmp_path):
    text = "height,count,pet,wild\n,2,,True\n1,, ,\n"
    rows = back(tmp_path, text, gaps="features")
    empty = torch.stack([rows.empty[name] for name in SPEC.names], 1)
    assert empty.tolist() == [[True, False, True, False], [False, True, True, True]]
    assert torch.equal(rows.x.isnan(), empty)
    assert rows.x[~empty].tolist() == [2.0, 1.0, 1.0]
    refused(tmp_path, text, "column height, row 1: '' is no finite number (1 of 2 rows")
    refused(tmp_path, "height,count,pet,wild\ninf,2,cat,1\n", "column height, row 1: 'inf'", gaps="features")
    refused(tmp_path, "height,count,pet,wild\n1,2,cow,1\n", "column pet, row 1: 'cow'", gaps="features")


def test_contexts_are_empty_only_where_they_may_be(tmp_path):
    text = "height,count,pet,wild,age,pen\n,2,cat,True,,a\n1,2,cat,True,3,\n"
    refused(tmp_path, text, "column age, row 1: '' is no finite number", GIVEN, gaps="features")
    rows = back(tmp_path, text, GIVEN, gaps="all")
    assert rows.empty["age"].tolist() == [True, False]
    assert rows.empty["pen"].tolist() == [False, True]
    assert rows.context.isnan().tolist() == [[True, False, False], [False, True, True]]


def test_a_level_may_be_called_like_a_mark_of_what_is_missing(tmp_path):
    spec = Spec(("land",), (1,), dtypes=("str",), levels=(("DE", "NA"),), quantum=(1.0,))
    rows = back(tmp_path, "land\nDE\nNA\nNaN\n", spec, gaps="features")
    assert rows.empty["land"].tolist() == [False, False, True]
    assert rows.x[:2, 0].tolist() == [0.0, 1.0]


def test_a_blank_line_is_an_empty_cell_of_a_single_column(tmp_path):
    spec = Spec(("a",), (1,))
    assert back(tmp_path, "a\n1\n\n3\n", spec, gaps="features").empty["a"].tolist() == [False, True, False]
    refused(tmp_path, "a\n1\n\n3\n", "column a, row 2: ''", spec)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (
            "1,2,dgo,1",
            "column pet, row 2: 'dgo' is none of its levels (1 of 2 rows have none there); did you mean",
        ),
        ("1,2,1,1", "column pet, row 2: '1' is none of its levels"),
        ("1,2,Cat,1", "did you mean cat? levels: cat, dog, sea cow"),
        ("1,two,cat,1", "column count, row 2: 'two' is no finite number (1 of 2 rows"),
        ("1,2,cat,yes", "column wild, row 2: 'yes' is no finite number"),
        ("1e39,2,cat,1", "column height, row 2: '1e39' is no finite number"),
    ],
)
def test_a_cell_that_is_nothing_is_refused_with_its_place(tmp_path, cells, line):
    refused(tmp_path, f"height,count,pet,wild\n1,2,cat,1\n{cells}\n", line)


def test_a_column_that_is_to_be_added_may_not_be_there(tmp_path):
    text = "height,count,pet,wild,draw\n1,2,cat,1,0\n"
    refused(tmp_path, text, "has a column draw already", new=("draw",))
    assert len(back(tmp_path, text, new=("other",)).x) == 1


def test_other_columns_may_share_a_name(tmp_path):
    rows = back(tmp_path, "id,height,count,pet,wild,id\n1,1,2,cat,1,2\n")
    assert rows.table.to_csv(index=False) == "id,height,count,pet,wild,id\n1,1,2,cat,1,2\n"
    assert isinstance(rows.table, pd.DataFrame)
