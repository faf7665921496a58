"""Likelihood given random subsets."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest
import torch
import zoo

from flows.core import AnySubset, Batch
from flows.errors import UserError
from flows.objectives import Masked
from flows.types import PositiveFloat

SPEC = zoo.spec(3, 2)


def net() -> AnySubset:
    return cast("AnySubset", zoo.model("masked_transformer", 3, 2))


def objective(weights: dict[str, PositiveFloat] | None = None) -> Masked:
    masked = Masked(weights)
    masked.players(net(), SPEC, zoo.data(3, 2))
    return masked


def loss(masked: Masked, batch: Batch, given: torch.Tensor) -> Any:
    return masked.loss("model", {"model": net()}, batch, {"given": given})


def test_over_all_orders_the_loss_is_the_mean_of_their_nlls():
    batch, ranks = zoo.data(3, 2, 16), [torch.tensor(rank) for rank in itertools.permutations(range(3))]
    masks = [rank < rank.unsqueeze(-1) for rank in ranks]
    losses = torch.stack([loss(objective(), batch, mask)[0] for mask in masks])
    exact = [-net().order_log_prob(batch.x, rank.argsort(), batch.context).mean() for rank in ranks]
    torch.testing.assert_close(losses, torch.stack(exact))


def test_every_order_is_drawn_alike():
    batch = Batch(torch.zeros(6000, 3))
    given = objective().noise("model", {}, batch, torch.Generator().manual_seed(0))["given"]
    assert given.shape == (6000, 3, 3)
    assert not given.diagonal(dim1=1, dim2=2).any()
    counts = given.flatten(1).unique(dim=0, return_counts=True)[1]
    assert len(counts) == 6
    assert int(counts.min()) > 880


def test_weights_scale_their_terms_and_leave_the_log():
    batch, given = zoo.data(3, 2, 16), torch.ones(3, 3, dtype=torch.bool).tril(-1)
    plain, logs = loss(objective(), batch, given)
    terms = [loss(objective({name: 11.0}), batch, given)[0] - plain for name in SPEC.names]
    torch.testing.assert_close(sum(terms), 10 * plain)
    weighted, weighted_logs = loss(objective({"x1": 11.0}), batch, given)
    assert not torch.isclose(weighted, plain)
    assert weighted_logs["nll"] == logs["nll"] == plain


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match=r"weights\.y: no such feature"):
        objective({"y": 2.0})


def test_validation_is_the_models_own_likelihood():
    batch = zoo.data(3, 2, 16)
    scores = objective().validate({"model": net()}, batch, {})
    assert [*scores] == ["nll"]
    assert torch.equal(scores["nll"], -net().log_prob(batch.x, batch.context))
