"""The mean of several densities is a density, and what is drawn follows it."""

from __future__ import annotations

import math

import torch
import zoo

from flows.evaluation.mixture import Mixture


def test_it_is_the_mean_and_no_worse_than_its_members_are_on_average():
    members = [zoo.model("realnvp", 2, 1, seed=seed) for seed in range(3)]
    x, context = zoo.data(2, 1, n=200, seed=7)
    each = torch.stack([member.log_prob(x, context) for member in members])
    log_prob = Mixture(members).log_prob(x, context)
    torch.testing.assert_close(log_prob.exp(), each.exp().mean(0))
    assert log_prob.mean() > each.mean()


def test_draws_follow_it():
    """Beyond a plane between two far members lies the share that the density says, in any order of draws."""
    members = [zoo.model("realnvp", 2, seed=seed) for seed in range(2)]
    members[1].transform.transforms[0].mean += 100.0
    draws = Mixture(members).sample(4000, None, torch.Generator().manual_seed(0))
    far = draws.mean(-1) > 50
    assert abs(float(far.double().mean()) - 0.5) < 4 * math.sqrt(0.25 / 4000)
    first, second = far[:2000].double().mean(), far[2000:].double().mean()
    assert abs(float(first - second)) < 4 * math.sqrt(0.5 / 2000)  # not one member after the other
    assert draws.shape == (4000, 2)
    assert Mixture(members).sample(0).shape == (0, 2)


def test_draws_have_a_context_s_lead():
    members = [zoo.model("realnvp", 2, 1, seed=seed) for seed in range(2)]
    context = zoo.data(2, 1, n=5).context
    assert Mixture(members).sample(7, context).shape == (7, 5, 2)
