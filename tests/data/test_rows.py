"""A table that stays on disk: the rows memory would hold, read and split by runs, or refused in a line."""

import inspect
import pickle

import composed
import numpy as np
import pytest
import torch

from data import mapped, table
from data.mapped import Mapped
from data.memory import InMemory
from data.npy import Npy
from data.rows import Rows
from data.scan import scan
from data.table import table as build
from flows.errors import UserError
from flows.training.fingerprint import fingerprint
from flows.training.stream import Stream

PARTS = ("train", "val", "test")


def array(rows=5000, columns=3, dtype=np.float32):
    return (np.random.default_rng(0).normal(size=(rows, columns)) * 50).astype(dtype)


def saved(folder, values, name="t.npy"):
    np.save(folder / name, values)
    return str(folder / name)


def rows_of(dataset, part):
    return torch.cat([each for each in dataset.source(part).take(slice(None)) if each is not None], 1)


def everything(dataset):
    return sorted(map(tuple, torch.cat([rows_of(dataset, part) for part in PARTS]).tolist()))


def refused(path, *lines, **options):
    with pytest.raises(UserError) as caught:
        build(path, mapped=True, **options)
    message = str(caught.value)
    assert "\n" not in message
    for line in lines:
        assert line in message, message


@pytest.fixture
def small(monkeypatch):
    """Runs and windows so small that a test's file has many."""
    monkeypatch.setattr(mapped, "FEWEST", 50)
    monkeypatch.setattr(
        Mapped.__init__,
        "__defaults__",
        (None, 100 * 10 * 8 * (3 + 3)),
    )


def test_it_is_the_table_that_memory_would_hold(tmp_path):
    values = array()
    path = saved(tmp_path, values)
    there, here = build(path, mapped=True), build(path)
    assert isinstance(there, Rows)
    assert isinstance(there.source("train"), Mapped)
    assert there.spec == here.spec
    assert there.spec.names == ("x0", "x1", "x2")
    assert everything(there) == everything(here) == sorted(map(tuple, values.astype(float).tolist()))
    assert there.source("train").take(slice(0, 3)).x.dtype == torch.float64


def test_only_a_large_array_is_mapped_by_itself(tmp_path, monkeypatch):
    path = saved(tmp_path, array())
    assert isinstance(build(path).source("train"), InMemory)
    monkeypatch.setattr(table, "LARGE", 1000)
    assert isinstance(build(path).source("train"), Mapped)
    assert isinstance(build(path, mapped=False).source("train"), InMemory)
    csv = tmp_path / "t.csv"
    csv.write_text("a\n" + "".join(f"{k}.5\n" for k in range(1000)))
    assert isinstance(build(str(csv)).source("train"), InMemory)


def test_columns_context_and_names(tmp_path):
    values = array()
    path = saved(tmp_path, values)
    chosen = {"columns": ["c", "a"], "context": ["b"], "names": ["a", "b", "c"]}
    there, here = build(path, mapped=True, **chosen), build(path, **chosen)
    assert there.spec == here.spec
    assert (there.spec.names, there.spec.context_names) == (("c", "a"), ("b",))
    assert everything(there) == everything(here)
    batch = there.source("train").to(torch.device("cpu"), torch.float32).take(torch.tensor([5, 2]))
    assert [part.shape for part in batch] == [(2, 2), (2, 1)]
    assert batch.x.dtype == batch.context.dtype == torch.float32


@pytest.mark.parametrize("kind", [">f4", "<f8", "i2", "u1", "f2"])
def test_types_are_read_as_they_are(tmp_path, kind):
    values = (array() if "f" in kind else array() % 100).astype(kind)
    path = saved(tmp_path, values)
    there, here = build(path, mapped=True), build(path)
    assert there.spec == here.spec
    assert everything(there) == everything(here)


def test_named_fields_may_differ_in_type_and_keep_their_names(tmp_path):
    values = np.empty(3000, [("height", "f4"), ("größe", ">f8"), ("count", "i4")])
    for name, column in zip(values.dtype.names, array(3000).T, strict=True):
        values[name] = column
    path = saved(tmp_path, values)
    there, here = build(path, mapped=True, context=["größe"]), build(path, context=["größe"])
    assert there.spec == here.spec
    assert there.spec.quantum == (None, 1.0)
    assert (there.spec.dtypes, there.spec.context_dtypes) == (("float32", "int32"), ("float64",))
    assert everything(there) == everything(here)


def test_parts_are_runs_of_neighbours_that_the_seed_deals(tmp_path, small):
    values = np.stack((np.arange(5000.0), np.arange(5000.0) % 7), 1)
    path = saved(tmp_path, values)
    first, again, other = (build(path, mapped=True, val=0.2, test=0.3, seed=s) for s in (0, 0, 1))
    places = {part: rows_of(first, part)[:, 0].long() for part in PARTS}
    assert [len(places[part]) for part in PARTS] == [2500, 1000, 1500]
    assert sorted(torch.cat([*places.values()]).tolist()) == [*range(5000)]
    for of in places.values():
        assert torch.equal(of, of.sort().values)
        assert of.reshape(-1, 100).diff().eq(1).all()  # a hundred neighbours each
    assert all(torch.equal(rows_of(first, part), rows_of(again, part)) for part in PARTS)
    assert fingerprint(first.source("train")) == fingerprint(again.source("train"))
    assert fingerprint(first.source("train")) != fingerprint(other.source("train"))


@pytest.mark.parametrize("rows", [4999, 5000, 5049])
def test_whatever_is_asked_for_it_gives_what_stands_there(tmp_path, small, rows):
    source = build(saved(tmp_path, array(rows)), mapped=True).source("train")
    assert source._slots < len(source.runs)  # so that not all can be held
    whole = source.take(slice(None)).x
    assert len(whole) == len(source)
    generator = torch.Generator().manual_seed(0)
    for index in (torch.randint(len(source), (700,), generator=generator), torch.arange(9), torch.arange(0)):
        assert torch.equal(source.take(index).x, whole[index])
    for some in (slice(3, 11), slice(95, 460), slice(len(source) - 5, len(source) + 9), slice(7, 7)):
        assert torch.equal(source.take(some).x, whole[some])
    index = torch.randperm(len(source), generator=generator)
    assert torch.equal(source.take(index).x, whole[index])


def test_an_epoch_reads_each_run_once_and_a_restart_only_what_it_needs(tmp_path, small, monkeypatch):
    source = build(saved(tmp_path, array()), mapped=True).source("train")
    reads, read = [], Npy.read
    monkeypatch.setattr(Npy, "read", lambda *a: reads.append(a[1:3]) or read(*a))
    blocks = [*source.order(40, torch.Generator().manual_seed(0))]
    met = torch.cat([source.take(block).x for block in blocks])
    assert len(met.unique(dim=0)) == len(met) == len(source) // 40 * 40
    assert len(reads) == len({*reads}) == len(source.runs)
    fresh = build(saved(tmp_path, array()), mapped=True).source("train")
    reads.clear()
    late = [*fresh.order(40, torch.Generator().manual_seed(0), len(blocks) - 1)]
    assert torch.equal(fresh.take(late[0]).x, met[-40:])
    assert len(reads) <= 2 * fresh.together


def test_a_stream_of_it_is_taken_up_again_anywhere(tmp_path, small):
    def stream(seed):
        source = build(saved(tmp_path, array()), mapped=True).source("train")
        return Stream(source, 64, torch.Generator().manual_seed(seed))

    for taken in (0, 1, 30, 54, 55, 60):
        first, second = stream(0), stream(1)
        for _ in range(taken):
            next(first)
        second.restore(first.state())
        for _ in range(3):
            assert torch.equal(next(first).x, next(second).x)


def test_batches_of_a_sorted_file_are_mixed(tmp_path, small, monkeypatch):
    monkeypatch.setattr(mapped, "FEWEST", 1000)
    values = np.sort(array(20_000), axis=0)
    source = build(saved(tmp_path, values), mapped=True).source("train")
    whole, batch = source.take(slice(None)).x, 250
    means = torch.stack(
        [source.take(block).x.mean(0) for block in source.order(batch, torch.Generator().manual_seed(0))]
    )
    scatter = whole.std(0) / batch**0.5
    assert ((means - whole.mean(0)).abs().max(0).values < 5 * scatter).all()
    assert ((means.std(0) / scatter - 1).abs() < 0.25).all()


def test_a_run_is_trained_and_carried_on_to_the_same_bits(tmp_path):
    path = saved(tmp_path, array())
    short = ("dataset=table", f"dataset.path={path}", "dataset.mapped=true", "experiment=debug", "logger=csv")
    short = (*short, "logger.describe=false", "trainer.batch_size=100", "model.layers=2", "model.width=8")
    composed.run(tmp_path / "whole", *short, "trainer.max_steps=45", "trainer.decay=constant")
    composed.run(tmp_path / "parts", *short, "trainer.max_steps=40", "trainer.decay=constant")
    composed.run(tmp_path / "parts", *short, "trainer.max_steps=45", "trainer.decay=constant")
    last = [next((tmp_path / name / "checkpoints/last").glob("*45")) for name in ("whole", "parts")]
    one, other = ((folder / "model.safetensors").read_bytes() for folder in last)
    assert one == other


# What is refused


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.zeros((0, 3)), "has no rows"),
        (np.zeros((1, 3)), "has a single row"),
        (np.zeros((9, 0)), "has no columns"),
        (np.zeros(9), "shape (9,); expected rows × columns"),
        (np.zeros(()), "shape (); expected rows × columns"),
        (np.zeros((9, 3, 2)), "shape (9, 3, 2); expected rows × columns"),
        (np.asfortranarray(np.zeros((9, 3))), "stored column by column"),
        (np.zeros((9, 2), bool), "column x0 holds bool, no numbers"),
        (np.zeros((9, 2), complex), "column x0 holds complex128, no numbers"),
        (np.zeros((9, 2), "U3"), "column x0 holds <U3, no numbers"),
        (np.zeros((9, 2), "M8[s]"), "column x0 holds datetime64[s], no numbers"),
        (np.zeros(9, [("a", "f4"), ("b", "f4", (2,))]), "column b holds"),
        (np.array([[1, {}]] * 9, object), "holds Python objects, which are never unpickled"),
    ],
)
def test_arrays_that_are_no_rows_of_numbers(tmp_path, values, line):
    refused(saved(tmp_path, values), f"{tmp_path}/t.npy: ", line)


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (tmp_path / "t.npy").write_bytes(pickle.dumps(Trap()))
    refused(str(tmp_path / "t.npy"), "can't be read as NPY")
    np.save(tmp_path / "o.npy", np.array([[Trap()]] * 3, object), allow_pickle=True)
    refused(str(tmp_path / "o.npy"), "never unpickled")


def test_files_that_are_damaged_missing_or_of_another_kind(tmp_path):
    path = saved(tmp_path, array())
    content = (tmp_path / "t.npy").read_bytes()
    for length, line in ((len(content) - 1, "truncated"), (60, "NPY"), (3, "NPY"), (0, "NPY")):
        (tmp_path / "t.npy").write_bytes(content[:length])
        refused(path, f"{path}: ", line)
    refused(str(tmp_path / "none.npy"), "none.npy: no such file")
    refused(str(tmp_path), "only .npy files are mapped")
    (tmp_path / "d.npy").mkdir()
    refused(str(tmp_path / "d.npy"), "is a folder")
    refused("t.parquet", "dataset.mapped=true: t.parquet is read whole; only .npy files are mapped")


def test_a_file_cut_short_while_it_is_read_is_told(tmp_path):
    path = saved(tmp_path, array())
    source = build(path, mapped=True).source("train")
    (tmp_path / "t.npy").write_bytes((tmp_path / "t.npy").read_bytes()[:30_000])
    with pytest.raises(UserError, match=r"t\.npy: row \d+ can't be read any more"):
        source.take(slice(None))


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
@pytest.mark.parametrize("block", [100, 2**20])
def test_the_first_number_that_is_none_is_named(tmp_path, monkeypatch, value, what, block):
    monkeypatch.setattr("data.scan.BLOCK", block)
    values = array()
    values[4321, 0] = values[3210, 2] = values[3210, 1] = value
    line = (
        f"t.npy: column x1, row 3211: {what} (2 of 5000 rows are so); correct them, or dataset.missing=drop"
    )
    values[4000, 1] = value
    refused(saved(tmp_path, values), line)


@pytest.mark.parametrize("block", [100, 2**20])
def test_rows_that_lack_numbers_are_left_out_aloud(tmp_path, monkeypatch, small, capsys, block):
    """Whatever is asked for, it is what memory would give; also where a run has no row left, or few."""
    monkeypatch.setattr("data.scan.BLOCK", block)
    values = array()
    runs = build(saved(tmp_path, values), mapped=True).source("train").runs * 100
    values[np.random.default_rng(1).random(5000) < 0.1, 0] = np.nan
    for run in runs[[0, 7, 8, -1]].tolist():
        values[run : run + 100, 1] = np.inf
    values[int(runs[4]) : int(runs[4]) + 99] = np.nan
    path = saved(tmp_path, values)
    there, here = build(path, mapped=True, missing="drop"), build(path, missing="drop")
    told = capsys.readouterr().err.splitlines()
    assert told[0] == told[1]
    assert told[0].endswith(" of 5,000 rows left out, for missing cells in x0, x1, x2")
    whole = values[np.isfinite(values).all(1)]
    assert everything(there) == everything(here) == sorted(map(tuple, whole.astype(float).tolist()))
    source = there.source("train").to(torch.device("cpu"), torch.float64)
    assert (there.source("train").sizes == 0).sum() == 4
    rows = source.take(slice(None)).x
    index = torch.randint(len(source), (700,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(source.take(index).x, rows[index])
    for some in (slice(3, 11), slice(95, 460), slice(len(source) - 5, len(source) + 9), slice(7, 7)):
        assert torch.equal(source.take(some).x, rows[some])
    met = torch.cat([source.take(block).x for block in source.order(40, torch.Generator().manual_seed(0))])
    assert len(met.unique(dim=0)) == len(met) == len(source) // 40 * 40


def test_places_of_errors_are_the_files_where_rows_are_left_out(tmp_path):
    values = array(dtype=np.float64)
    values[[3, 4], 0], values[9, 1] = np.nan, 1e39
    refused(saved(tmp_path, values), "column x1, row 10: 1e+39 is beyond", missing="drop")
    values[1:] = np.nan
    refused(saved(tmp_path, values), "4999 of 5000 rows have missing cells in", missing="drop")


def test_columns_out_of_use_may_lack_numbers(tmp_path):
    values = array()
    values[5, 1] = np.nan
    assert build(saved(tmp_path, values), mapped=True, columns=["x2", "x0"]).spec.names == ("x2", "x0")


def test_large_numbers_are_no_infinities(tmp_path):
    values = array(dtype=np.float64)
    values *= 1e35
    assert build(saved(tmp_path, values), mapped=True).spec.quantum is None


@pytest.mark.parametrize(
    ("column", "dtype", "line"),
    [
        (np.full(5000, 2.5), float, "column x1 is 2.5 in all 5000 rows"),
        (np.linspace(0, 1, 5000), float, "columns x0 and x1 are equal in all rows"),
        (np.where(np.arange(5000) == 4998, 1e39, 0.0), float, "column x1, row 4999: 1e+39 is beyond ±1e+38"),
        (1e9 + np.linspace(0, 1, 5000), float, "column x1 extends over 1 about 1e+09"),
        (np.arange(40_000, 45_000), int, "column x1, row 5000: 44999 is beyond ±32768"),
    ],
)
def test_columns_without_a_finite_density_are_named(tmp_path, monkeypatch, column, dtype, line):
    monkeypatch.setattr("data.scan.BLOCK", 1000)
    values = np.empty(5000, [("x0", float), ("x1", dtype)])
    values["x0"], values["x1"] = np.linspace(0, 1, 5000), column
    path = saved(tmp_path, values)
    refused(path, f"{path}: ", line)
    assert build(path, mapped=True, columns=["x0"]).spec.names == ("x0",)


def test_a_column_that_is_constant_in_training_is_refused(tmp_path, small, monkeypatch):
    monkeypatch.setattr("data.learnable.ROWS", 64)
    path = saved(tmp_path, array())
    places = build(path, mapped=True).source("test").runs
    values = array()
    values[:, 1] = 7
    values[int(places[0]) * 100, 1] = 8
    refused(saved(tmp_path, values), "column x1 is 7.0 in all 3500 rows of the training part")


def test_extents_are_those_of_all_blocks_together(tmp_path, monkeypatch):
    path = tmp_path / "t.npy"
    saved(tmp_path, array(dtype=np.float64))
    whole = scan(Npy(path), [2, 0])
    monkeypatch.setattr("data.scan.BLOCK", 1000)
    assert scan(Npy(path), [2, 0])[:2] == whole[:2]
    extent = whole[0]["x2"]
    values = np.load(path)[:, 2]
    assert (extent.low, extent.high, extent.rows) == (values.min(), values.max(), 5000)
    assert values[extent.row - 1] == extent.farthest


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"categorical": "dequantise"}, "dataset.categorical=dequantise: a mapped file holds numbers alone"),
        ({"columns": ["x3"]}, "has no column x3"),
        ({"names": ["a", "b"]}, "dataset.names: 2 names; "),
        ({"names": ["a", "b", "b"]}, "dataset.names: names b twice"),
        ({"names": ["a", "", "b"]}, "dataset.names: has an empty name"),
        ({"val": 0.0}, "leave none for val; give more runs or other shares"),
    ],
)
def test_keys_that_cannot_be(tmp_path, options, line):
    refused(saved(tmp_path, array()), line, **options)


def test_names_are_for_arrays_without(tmp_path):
    csv = tmp_path / "t.csv"
    csv.write_text("a,b\n1.5,2\n3,4\n")
    with pytest.raises(UserError, match=r"dataset\.names: .*t\.csv has names of its own \(a, b\)"):
        build(str(csv), names=["c", "d"])
    named = np.zeros(9, [("a", float), ("b", float)])
    refused(saved(tmp_path, named), "has names of its own (a, b)", names=["c", "d"])
    with pytest.raises(UserError, match=r"2 names; .* has 3 columns"):
        build(saved(tmp_path, array()), names=["c", "d"])
    assert build(saved(tmp_path, array()), names=["a", "b", "c"]).spec.names == ("a", "b", "c")


def test_every_argument_is_explained():
    said = inspect.getdoc(build) or ""
    assert [name for name in inspect.signature(build).parameters if f"{name}: " not in said] == []
