"""Masked nets."""

from __future__ import annotations

import pytest
import torch
import zoo

from flows.nets import MADE


@pytest.mark.parametrize("width", [6, 7, 16])
def test_each_output_sees_all_features_of_lower_rank_and_no_other(width):
    rank = torch.tensor([2, 0, 1, 4, 3, 5])
    torch.manual_seed(0)
    net = MADE(rank, params=1, width=width, octaves=1).double()
    zoo.perturb(net, 0.5, 0)
    jacobian = torch.func.jacrev(net)(torch.randn(6, dtype=torch.float64))
    assert torch.equal(jacobian != 0, rank.unsqueeze(1) > rank)


def test_too_few_units_are_refused():
    with pytest.raises(ValueError, match="4 units can't tell 6 features apart"):
        MADE(torch.arange(6), params=1, width=4)
