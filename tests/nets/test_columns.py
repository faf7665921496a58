"""A linear layer, whatever its outputs look like in memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from flows.nets.columns import Columns


@pytest.mark.parametrize("lead", [(), (7,), (2, 7), (0,), (3, 0)])
def test_it_gives_the_numbers_and_the_gradients_of_a_linear_layer(lead):
    layer, plain = Columns(3, 5).double(), nn.Linear(3, 5).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(*lead, 3, dtype=torch.float64, requires_grad=True)
    found, expected = layer(x), plain(x)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(*lead, 5, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), [x, *layer.parameters()]),
        torch.autograd.grad((expected * weights).sum(), [x, *plain.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_what_reads_output_by_output_finds_each_in_a_row():
    found = Columns(3, 5)(torch.randn(7, 3))
    assert found.movedim(-1, 0).is_contiguous()
