"""What a model makes of no examples at all."""

from __future__ import annotations

import pytest
import torch
import zoo


@pytest.mark.parametrize("name", [*zoo.MODELS, *zoo.FIELDS])
def test_none_are_drawn_and_none_scored(name):
    density = zoo.model(name, *zoo.example(name))
    x, c = zoo.data(*zoo.example(name), n=3)
    assert c is not None
    assert density.sample(0, c).shape == (0, *x.shape)
    assert density.sample(2, c[:0]).shape == (2, 0, *x.shape[1:])
    assert density.log_prob(x[:0], c[:0]).shape == (0,)
    assert torch.equal(density.log_prob(x[:0], c[:1]), density.log_prob(x[:0], c[:0]))
