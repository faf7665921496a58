"""Noise on training examples."""

from __future__ import annotations

import torch

from flows.core import Batch, Spec
from flows.training.jitter import Jitter

SPEC = Spec(("a", "b"), (2,), support=((0.0, 1.0), None))


def data(n: int = 20_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack((torch.rand(n, generator=generator), 50 * torch.randn(n, generator=generator)), -1)


def test_noise_is_in_proportion_to_each_feature():
    x = data()
    x = x[(x[:, 0] > 0.2) & (x[:, 0] < 0.8)]  # clear of the ends
    noise = Jitter(0.1, Batch(x), SPEC)(x, torch.Generator().manual_seed(1)) - x
    torch.testing.assert_close(noise.std(0), 0.1 * x.std(0), rtol=0.03, atol=0)
    torch.testing.assert_close(noise.mean(0) / noise.std(0), torch.zeros(2), atol=0.03, rtol=0)


def test_at_the_ends_of_the_support_it_turns_back():
    x = data()
    moved = Jitter(0.3, Batch(x), SPEC)(x, torch.Generator().manual_seed(1))
    assert bool(((moved[:, 0] >= 0) & (moved[:, 0] <= 1)).all())
    shares = torch.histc(moved[:, 0], bins=10, min=0, max=1) / len(x)
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=0.01, rtol=0)  # uniform stays uniform


def test_without_a_support_nothing_turns():
    x = data()
    free = Jitter(0.3, Batch(x), Spec(("a", "b"), (2,)))(x, torch.Generator().manual_seed(1))
    assert bool((free[:, 0] < 0).any())
    assert bool((free[:, 0] > 1).any())
