"""Orders of examples that lie in runs: complete, mixed, and taken up anywhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.shuffle import shuffled

RUNS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(RUNS, st.integers(1, 50), st.integers(1, 30), st.integers(0, 5))
def test_an_epoch_meets_every_example_once_but_for_a_remainder(sizes, together, batch, seed):
    total = sum(sizes)
    blocks = [*shuffled(torch.tensor(sizes), together, batch, seeded(seed))]
    assert {len(block) for block in blocks} == {min(batch, total)}
    places = torch.cat(blocks).tolist()
    assert len(places) == len({*places}) == total // min(batch, total) * min(batch, total)
    assert {*places} <= {*range(total)}


@given(RUNS, st.integers(1, 9), st.integers(1, 12), st.data())
def test_it_begins_again_at_any_block(sizes, together, batch, data):
    whole = [*shuffled(torch.tensor(sizes), together, batch, seeded())]
    taken = data.draw(st.integers(0, len(whole)))
    rest = [*shuffled(torch.tensor(sizes), together, batch, seeded(), taken)]
    assert [block.tolist() for block in rest] == [block.tolist() for block in whole[taken:]]


def test_the_generator_is_drawn_from_once_whatever_is_taken():
    first, second = seeded(), seeded()
    sizes = torch.full((50,), 4)
    shuffled(sizes, 5, 8, first)
    [*shuffled(sizes, 5, 8, second, 7)]
    assert torch.equal(first.get_state(), second.get_state())
    again = [*shuffled(sizes, 5, 8, first)]
    assert torch.cat(again).tolist() != torch.cat([*shuffled(sizes, 5, 8, seeded())]).tolist()


def test_a_start_in_the_middle_shuffles_no_window_before(monkeypatch):
    shuffles, randperm = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: shuffles.append(a) or randperm(*a, **k))
    sizes, together, batch = torch.full((1000,), 10), 10, 50
    blocks = shuffled(sizes, together, batch, seeded(), taken=150)  # 2 blocks a window
    next(blocks)
    assert len(shuffles) == 1


def test_a_window_has_a_run_of_every_stretch():
    sizes = torch.full((400,), 5)
    for block in [*shuffled(sizes, 20, 100, seeded())]:  # as long as a window
        stretches = block // (5 * 20)
        assert sorted(stretches.unique().tolist()) == [*range(20)]
        assert stretches.bincount().tolist() == [5] * 20


@pytest.mark.parametrize("seed", range(3))
def test_sorted_examples_are_mixed_as_if_drawn_at_random(seed):
    """Of 200,000 in rising order, the means of batches scatter as those of independent draws do."""
    x = torch.linspace(-1, 1, 200_000, dtype=torch.float64)
    sizes, together, batch = torch.full((2000,), 100), 100, 256  # 20 windows
    means = torch.stack([x[block].mean() for block in shuffled(sizes, together, batch, seeded(seed))])
    scatter = x.std() / batch**0.5
    assert abs(means.std() / scatter - 1) < 0.1
    assert means.abs().max() < 5 * scatter
    windows = means[: 39 * 20].reshape(20, 39).mean(1)  # 39 whole batches in each
    assert windows.abs().max() < 4 * scatter / 39**0.5
    follow = torch.corrcoef(torch.stack((means[:-1], means[1:])))[0, 1]
    assert abs(follow) < 0.15
