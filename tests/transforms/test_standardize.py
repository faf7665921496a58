"""Standardisation keeps its units inside the model."""

from __future__ import annotations

import pytest
import torch

from flows.core import Batch
from flows.errors import UserError
from flows.transforms import Standardize


def test_mean_zero_and_variance_one_even_far_from_zero():
    x = torch.randn(4096, 2) * torch.tensor([1e-3, 50.0]) + torch.tensor([1.0, -3e3])
    standardize = Standardize((2,))
    standardize.initialise(Batch(x))
    z, ladj = standardize(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(ladj, -standardize.std.log().sum().expand(4096))


@pytest.mark.parametrize("value", [1.0, float("nan")])
def test_a_constant_or_broken_feature_is_refused(value):
    x = torch.randn(10, 2)
    x[:, 1] = value
    with pytest.raises(UserError, match="constant or non-finite"):
        Standardize((2,)).initialise(Batch(x))


def test_a_class_without_examples_is_refused():
    absent = torch.eye(3)[torch.arange(10) % 2]
    with pytest.raises(UserError, match="use more examples"):
        Standardize((3,)).initialise(Batch(absent))
