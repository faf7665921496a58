"""Overrides, tables, pictures, grids, checkpoints and run directories that nobody thought of."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

import fuzzing
import gridded
import h5py
import left
import numpy as np
import pytest
from fuzzing import damaged, fuzz, shares, tolerated
from hypothesis import strategies as st
from PIL import Image

import flows
import train
from data.netcdf import netcdf
from data.picture import read
from data.table import table
from flows.cli import entry

KEYS = (
    *("seed", "model", "model.width", "model.layers", "model._target_", "dataset", "dataset.noise"),
    *("trainer", "trainer.max_steps", "trainer.optimizer.lr", "trainer.objective._target_", "logger"),
    *("runtime.dtype", "experiment", "init_from", "trusted_packages", "model.nothing", "a.b.c"),
)
ATOMS = (
    *("null", "true", "1", "-1", "0.5", "1e400", "nan", "inf", "moons", "realnvp", "os.system", "???", "''"),
    *("[1,2]", "{a:1}", "${seed}", "${oc.env:HOME}", "${stamp:}", "a,b", "choice(1,2)", "range(1,3)", "é"),
    *("9" * 30, "[" * 30, "{_target_:os.system}", "glob(*)", "'", '"', "=", "\x00", "\n", "${", "$", "0x10"),
)
VALUES = st.one_of(
    st.sampled_from(ATOMS), st.text(max_size=12), st.lists(st.sampled_from(ATOMS), max_size=4).map("".join)
)
OVERRIDES = st.lists(
    st.builds("{}{}={}".format, st.sampled_from(["", "", "+", "++"]), st.sampled_from(KEYS), VALUES)
    | st.sampled_from(KEYS).map("~{}".format),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with nothing beside it, to work in."""
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    return inner


@shares(5, 2200)
def test_overrides(folder, monkeypatch, capsys, examples):
    def attempt(overrides):
        ran = []
        monkeypatch.setattr(sys, "argv", ["train.py", *overrides])
        try:
            entry("config", train.check)(ran.append)()
            assert len(ran) == 1
        except SystemExit as leaving:
            assert leaving.code == 2
            said = capsys.readouterr().err
            assert said.startswith("train.py: error: ") and said.count("\n") == 1, said

    fuzz(examples, OVERRIDES, attempt, folder)


CELLS = st.one_of(
    st.floats(width=32).map(repr),
    st.integers().map(str),
    st.sampled_from(
        ["", "NA", "nan", "-inf", "1e400", "a", "True", '"', '""', "'", "2001-02-03", "1_000", "0x1", "\x00"]
    ),
    st.text(max_size=4),
)
TABLES = st.builds(
    lambda rows, by, end: end.join(by.join(row) for row in rows).encode("utf-8", "surrogatepass"),
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6).map(lambda rows: rows[:1] + rows[1:] * 3),
    st.sampled_from([",", ",", ",", ";", "\t", " "]),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)
SOUND = b"a,b\n" + b"".join(b"%d.5,%d\n" % (k, -k) for k in range(20))


@shares(60, 50_000)
def test_csv(folder, capsys, examples):
    path = folder / "t.csv"

    def attempt(given):
        content, options = given
        path.write_bytes(content)
        table(str(path), **options)

    options = st.fixed_dictionaries(
        {},
        optional={
            "missing": st.sampled_from(["refuse", "drop"]),
            "categorical": st.sampled_from(["refuse", "dequantise"]),
            "context": st.sampled_from([["a"], ["b"], ["a", "a"]]),
            "val": st.sampled_from([0.0, 0.1, 0.9]),
        },
    )
    fuzz(examples, st.tuples(TABLES | damaged([SOUND]), options), attempt, folder)


def pictures():
    """A small one of each kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "TGA", "PCX", "ICO"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        yield buffer.getvalue()


@shares(60, 60_000)
def test_pictures(folder, examples):
    path = folder / "picture"

    def attempt(content):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read(str(path), "image").dtype == np.uint8

    fuzz(examples, damaged([*pictures()]), attempt, folder)


def grids(folder):
    """Small files of both kinds."""
    weather = gridded.weather(times=20, rows=3, columns=4)[["t2m"]]
    weather.to_netcdf(folder / "3.nc", engine="scipy")
    return [gridded.saved(folder, weather, "4.nc").read_bytes(), (folder / "3.nc").read_bytes()]


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        netcdf(str(path), ["t2m"], static=[], missing="drop").source("train").take(slice(0, 2))


@shares(30, 8000)
def test_bytes_of_grids(folder, capsys, examples):
    numbers = itertools.count()

    def attempt(content):
        path = folder / f"{next(numbers)}.nc"
        path.write_bytes(content)
        opened(path)
        path.unlink()

    fuzz(examples, damaged(grids(folder)), attempt, folder)


@shares(20, 3000)
def test_attributes_of_grids(folder, capsys, examples):
    content, numbers = grids(folder)[0], itertools.count()
    names = ["units", "calendar", "scale_factor", "add_offset", "_FillValue", "missing_value", "valid_range"]
    names += ["coordinates", "dtype", "_Unsigned", "grid_mapping", "cell_methods", "CLASS", "DIMENSION_LIST"]
    values = st.one_of(
        st.sampled_from(["", "days since 1900", "days since never", "360_day", "lat lon", "true", "NaN"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        st.integers(-(2**31), 2**31),
        st.floats(),
        st.lists(st.floats(width=32), min_size=1, max_size=3),
    )
    one = st.tuples(st.sampled_from(["t2m", "time", "latitude"]), st.sampled_from(names), values)

    def attempt(attributes):
        path = folder / f"{next(numbers)}.nc"  # a name of its own, for HDF5 remembers what it has opened
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            for variable, name, value in attributes:
                file[variable].attrs[name] = value
        opened(path)
        path.unlink()

    fuzz(examples, st.lists(one, min_size=1, max_size=3), attempt, folder)


@shares(25, 5000)
def test_bytes_of_checkpoints(folder, capsys, examples):
    """Each vouched for by its manifest, or none would come past it; loaded, then carried on from."""
    run = left.copy(folder)
    checkpoint = left.newest(run, "best")
    shutil.rmtree(run / "checkpoints" / "last")  # either holds all there is
    kept = {path.name: path.read_bytes() for path in checkpoint.iterdir()}

    def attempt(given):
        name, content = given
        checkpoint.mkdir(exist_ok=True)  # one that is damaged is removed where training begins anew
        for each, data in kept.items():
            (checkpoint / each).write_bytes(data)
        (checkpoint / name).write_bytes(content)
        if name != "manifest.json":
            manifest = json.loads(kept["manifest.json"])
            manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
            (checkpoint / "manifest.json").write_text(json.dumps(manifest, indent=1))
        tolerated(lambda: flows.load(run))
        left.carry_on(run)

    files = [damaged([data]).map(lambda content, name=name: (name, content)) for name, data in kept.items()]
    fuzz(examples, st.one_of(files), attempt, folder)


@shares(30, 8000)
def test_texts_of_runs(folder, capsys, examples):
    run = left.copy(folder)
    kept = {name: (run / name).read_bytes() for name in ("config.yaml", "run.json", "metrics.csv")}

    def attempt(given):
        name, content = given
        for each, data in kept.items():
            (run / each).write_bytes(data)
        (run / name).write_bytes(content)
        flows.load(run)
        flows.training.saved.Saved(run).metrics()

    files = [damaged([data]).map(lambda content, name=name: (name, content)) for name, data in kept.items()]
    fuzz(examples, st.one_of(files), attempt, folder)


def bug(_):
    raise KeyError("key")


def no_memory(_):
    raise RuntimeError("out of memory")  # which is a refusal, so nothing to see


def escape(_):
    Path("../escaped").touch()


@pytest.mark.parametrize(("attempt", "seen"), [(bug, True), (no_memory, False), (escape, True)])
def test_what_a_fuzzer_has_to_see_is_seen(folder, attempt, seen):
    with pytest.raises((KeyError, AssertionError)) if seen else nullcontext():
        fuzz(3, st.booleans(), attempt, folder)


def test_a_hang_is_noticed(monkeypatch):
    monkeypatch.setattr(fuzzing, "SECONDS", 1)
    with pytest.raises(AssertionError, match="no answer"), fuzzing.in_time():
        while True:
            pass
