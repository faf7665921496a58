"""Examples in memory: epochs, batches, and the hash that names them."""

from itertools import islice

import pytest
import torch

from data.memory import InMemory
from flows.training import fingerprint as module
from flows.training.fingerprint import fingerprint

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.fixture
def source():
    x = torch.arange(20, dtype=torch.float64).reshape(10, 2)
    return InMemory(x, x[:, :1] + 0.5)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("device", DEVICES)
def test_epoch_visits_each_place_once_and_drops_the_remainder(source, device):
    source = source.to(torch.device(device), torch.float32)
    blocks = [*source.order(3, seeded())]
    assert [len(block) for block in blocks] == [3, 3, 3]
    places = torch.cat(blocks)
    assert places.device == source.x.device
    assert len(set(places.tolist())) == 9 and set(places.tolist()) <= set(range(10))


def test_epoch_is_fixed_by_the_state_at_the_call(source):
    generator = seeded()
    first, second = source.order(2, generator), source.order(2, generator)
    first, second = torch.cat([*first]), torch.cat([*second])
    again = torch.cat([*source.order(2, seeded())])
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.arange(10))


def test_epoch_restarts_at_any_batch(source):
    whole = [*source.order(2, seeded())]
    rest = [*islice(source.order(2, seeded()), 3, None)]
    assert torch.equal(torch.stack(rest), torch.stack(whole[3:]))


@pytest.mark.parametrize("batch_size", [10, 11, 1000])
def test_a_batch_too_large_is_everything(source, batch_size):
    (block,) = source.order(batch_size, seeded())
    assert sorted(block.tolist()) == [*range(10)]


@pytest.mark.parametrize("index", [torch.tensor([3, 1]), slice(1, 4)])
def test_take_keeps_x_and_context_together(source, index):
    batch = source.take(index)
    assert torch.equal(batch.x, source.x[index])
    assert torch.equal(batch.context, batch.x[:, :1] + 0.5)
    assert InMemory(source.x).take(index).context is None


def test_to_converts_both_and_leaves_the_original(source):
    moved = source.to(torch.device("cpu"), torch.float32)
    assert moved.x.dtype == moved.context.dtype == torch.float32
    assert source.x.dtype == torch.float64
    assert len(moved) == len(source) == 10
    assert source.to(torch.device("cpu"), torch.float32) is moved  # not another copy for each run of a batch
    assert InMemory(source.x).to(torch.device("cpu"), torch.float32).context is None


def test_refuses_nothing_and_unequal_lengths():
    with pytest.raises(ValueError, match="at least one"):
        InMemory(torch.zeros(0, 2))
    with pytest.raises(ValueError, match="context has 2"):
        InMemory(torch.zeros(3, 2), torch.zeros(2, 1))


def test_hash_sees_every_number(source, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 4)
    base = fingerprint(source)
    assert base == fingerprint(InMemory(source.x.clone(), source.context.clone()))
    last = source.x.clone()
    last[-1, -1] += 1e-12
    variants = [
        InMemory(last, source.context),
        InMemory(source.x),
        InMemory(source.x, source.context + 1),
        InMemory(source.x.flip(0), source.context.flip(0)),
        InMemory(source.x.reshape(10, 1, 2), source.context),
        source.to(torch.device("cpu"), torch.float32),
    ]
    assert len({base, *map(fingerprint, variants)}) == len(variants) + 1
