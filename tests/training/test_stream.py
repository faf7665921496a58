"""Batches can be left and taken up again, and cover the data."""

from __future__ import annotations

import torch

from data.memory import InMemory
from flows.training.stream import Stream


def stream(seed: int = 0) -> Stream:
    return Stream(InMemory(torch.arange(20.0)[:, None]), 6, torch.Generator().manual_seed(seed))


def test_an_epoch_has_no_repeats_and_epochs_differ():
    ours = stream()
    epochs = [torch.cat([next(ours).x for _ in range(3)]).flatten() for _ in range(2)]
    assert all(len(epoch.unique()) == 18 for epoch in epochs)
    assert not torch.equal(*epochs)


def test_restored_anywhere_it_gives_the_same_batches():
    for taken in range(8):
        first, second = stream(0), stream(1)
        for _ in range(taken):
            next(first)
        second.restore(first.state())
        for _ in range(7):
            assert torch.equal(next(first).x, next(second).x)
