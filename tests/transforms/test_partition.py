"""Splitting by a mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flows.transforms import Partition

two_sided = st.lists(st.booleans(), min_size=2, max_size=9).filter(lambda mask: 0 < sum(mask) < len(mask))


@given(two_sided)
def test_merge_undoes_split(mask):
    mask = torch.tensor(mask)
    x = torch.randn(3, 7, len(mask))
    partition = Partition(mask)
    first, second = partition.split(x)
    assert torch.equal(first, x[..., mask])
    assert torch.equal(second, x[..., ~mask])
    assert torch.equal(partition.merge(first, second), x)


def test_half_masks_split_without_a_copy():
    x = torch.randn(3, 6)
    for mask in (torch.arange(6) < 2, torch.arange(6) >= 4):
        first, second = Partition(mask).split(x)
        assert {first.untyped_storage().data_ptr(), second.untyped_storage().data_ptr()} == {
            x.untyped_storage().data_ptr()
        }


@pytest.mark.parametrize("mask", [[True, True], [False]])
def test_one_sided_masks_are_refused(mask):
    with pytest.raises(ValueError, match="both sides"):
        Partition(torch.tensor(mask))
