"""Data larger than what may be held: training and its beginnings look at bounded parts of it."""

from __future__ import annotations

import subprocess
import sys

import composed
import h5netcdf
import numpy as np
import pytest
import small
import torch
import zoo

from data.cases import Cases
from data.memory import InMemory
from flows.training import fingerprint as hashing
from flows.training import thinned, trainer, validation

SHORT = (
    "logger=csv",
    "logger.describe=false",
    "runtime=cpu",
    "runtime.threads=1",
    "trainer.validate_every=3",
)
TINY = ("model.levels=1", "model.layers=2", "model.width=8", "trainer.max_steps=6")


def write(path, cases, side, block=4096):
    """A file of fields, written a block at a time."""
    generator = np.random.default_rng(0)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": cases, "lat": side, "lon": side}
        fields = file.create_variable("t", ("time", "lat", "lon"), np.float32, chunks=(8, side, side))
        for start in range(0, cases, block):
            stop = min(start + block, cases)
            fields[start:stop] = generator.normal(size=(stop - start, side, side)).astype(np.float32)
    return path


def arguments(path):
    own = (f"dataset.path={path}", "dataset.target=[t]", "dataset.coarsen=4")
    return ("experiment=netcdf_downscaling", *own, *SHORT, *TINY)


class Counted:
    """A source that notes how much is taken at once."""

    def __init__(self, source):
        self.source, self.sizes = source, []

    def __len__(self):
        return len(self.source)

    def to(self, device, dtype):
        return self

    def order(self, batch_size, generator, taken=0):
        return self.source.order(batch_size, generator, taken)

    def take(self, index):
        batch = self.source.take(index)
        self.sizes.append(len(batch.x))
        return batch


def test_no_read_is_longer_than_a_run(tmp_path, monkeypatch):
    """From the first look for missing numbers to the last validation."""
    case = 2 * 8 * 64  # bytes of a field and of its context, 8 × 8 cells
    monkeypatch.setattr("data.observed.CHUNK", 10 * case)
    monkeypatch.setattr("data.on_disk.OnDisk.__init__.__defaults__", (10 * case, 40 * case))
    monkeypatch.setattr("data.observed.MEMORY", 0)
    read, lengths = Cases.read, []

    def noted(self, start, stop):
        lengths.append(stop - start)
        return read(self, start, stop)

    monkeypatch.setattr(Cases, "read", noted)
    composed.run(tmp_path / "run", *arguments(write(tmp_path / "t.nc", 300, 8)))
    assert 300 < sum(lengths) < 300 * 20
    assert max(lengths) == 10


def test_units_are_fitted_to_a_bounded_even_part(monkeypatch):
    source = Counted(InMemory(torch.arange(100.0)[:, None].expand(-1, 2)))
    spec = small.dataset().spec
    assert len(trainer._examples(source, spec, torch.float32, 0).x) == 100
    monkeypatch.setattr(thinned, "NUMBERS", 20)
    x = trainer._examples(source, spec, torch.float32, 0).x
    assert x[:, 0].tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert source.sizes == [100, 10]


def test_the_hash_is_read_in_bounded_blocks_and_sees_every_number(monkeypatch):
    x = torch.arange(200.0).reshape(50, 4)
    monkeypatch.setattr(hashing, "NUMBERS", 4 * 7)
    source = Counted(InMemory(x))
    first = hashing.fingerprint(source)
    assert source.sizes == [1, *[7] * 7, 1]
    other = x.clone()
    other[-1, -1] += 1
    assert hashing.fingerprint(InMemory(other)) != first


def test_validation_scores_the_same_in_bounded_blocks(monkeypatch):
    run, whole = small.start(small.trainer())
    monkeypatch.setattr(validation, "NUMBERS", 2 * 30)
    parts = validation.Validation(small.dataset(), small.RUNTIME)
    parts.source = Counted(parts.source)
    assert parts(run) == pytest.approx(whole(run))
    assert parts.source.sizes == [30, 30, 30, 30, 8]


def test_validation_looks_at_a_bounded_even_part_that_it_reads_once(monkeypatch):
    run, whole = small.start(small.trainer())
    monkeypatch.setattr(thinned, "EXAMPLES", 50)
    part = validation.Validation(small.dataset(), small.RUNTIME)
    assert len(part.source) == 50
    assert part(run) == part(run)
    assert part(run)["nll"] == pytest.approx(whole(run)["nll"], abs=0.5)
    assert part.floor == pytest.approx(whole.floor, abs=0.5)
    x = small.dataset().source("val").x
    assert torch.equal(part.source.take(slice(None)).x, x[thinned.evenly(128, 50)].float())
    monkeypatch.setattr(thinned, "NUMBERS", 20)  # as of large fields, which are held at once
    assert len(validation.Validation(small.dataset(), small.RUNTIME).source) == 10


MEASURE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, "tests")
import composed
run, *overrides = sys.argv[1:]
composed.run(Path(run), *overrides)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(run, *overrides):
    """Largest memory of a training process, in bytes."""
    command = [sys.executable, "-c", MEASURE, str(run), *overrides]
    done = subprocess.run(command, cwd=zoo.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.slow
def test_two_gigabytes_are_trained_on_within_one_and_a_half(tmp_path):
    large = write(tmp_path / "large.nc", 2**17, 64)
    assert large.stat().st_size > 2e9
    own = peak(tmp_path / "small", *arguments(write(tmp_path / "small.nc", 100, 64)))
    above = peak(tmp_path / "large", *arguments(large)) - own
    print(f"{above / 1e9:.2f} GB above {own / 1e9:.2f} GB")
    assert above < 1.5e9


def rows(path, count, block=10**6):
    """A file of rows of five float32, written a block at a time."""
    generator = np.random.default_rng(0)
    np.lib.format.open_memmap(path, "w+", np.float32, (count, 5))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - count * 20)
        for start in range(0, count, block):
            file.write(generator.standard_normal((min(block, count - start), 5), np.float32).tobytes())
    return path


@pytest.mark.slow
def test_a_hundred_million_rows_are_trained_on_within_one(tmp_path):
    """From the look through the file to the last figures, and carried on in the middle of an epoch."""
    table = ("dataset=table", *SHORT, "trainer.max_steps=6", "logger.figures=1")
    large = rows(tmp_path / "large.npy", 10**8)
    own = peak(tmp_path / "small", *table, f"dataset.path={rows(tmp_path / 'small.npy', 10**4)}")
    first = peak(tmp_path / "large", *table, f"dataset.path={large}") - own
    again = peak(tmp_path / "large", *table, f"dataset.path={large}", "trainer.max_steps=9") - own
    large.unlink()
    print(f"{first / 1e9:.2f} GB, carried on {again / 1e9:.2f} GB, above {own / 1e9:.2f} GB")
    assert max(first, again) < 1e9
