"""Autoregressive flow of mixtures, each a distribution function."""

from __future__ import annotations

import torch

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.heads import Head
from flows.nets import MADE
from flows.transforms import (
    Autoregressive,
    Cumulative,
    Rescale,
    autoregressive_sizes,
    bounded,
    normaliser,
)
from flows.types import Fraction, Narrow, Octaves, PositiveInt


def mixture_autoregressive(
    spec: Spec,
    components: PositiveInt = 6,
    narrowest: Narrow = 5e-4,
    width: PositiveInt = 128,
    depth: PositiveInt = 2,
    octaves: Octaves = 3,
    dropout: Fraction = 0.0,
    order: list[str] | None = None,
) -> Flow:
    """Rescale, then carry each feature, given those before it, to a standard Gaussian by a mixture's law.

    It is the chain rule with a mixture for each feature, which can have edges and plateaus. To score costs
    one call of the net, to sample one for each feature and a bisection.

    Args:
        spec: What the data is.
        components: Plateaus in each feature's mixture.
        narrowest: Least scale of an edge, in a bounded feature's range or another's standard deviations.
        width: Units of the net's layers.
        depth: Residual blocks of the net.
        octaves: Sine features of its inputs.
        dropout: Share of its hidden units that is left out in training.
        order: All names, in the order in which features are taken; None for that of the data.

    Raises: UserError if x or the context isn't a vector, the net is too narrow, or the order isn't one.
    References: Huang et al. 2018, Neural autoregressive flows, arXiv:1804.00779.

    >>> flow = mixture_autoregressive(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    features, context = autoregressive_sizes(spec, "model=mixture_autoregressive", width)
    turn = torch.arange(features) if order is None else spec.places(order, "model.order")
    cumulative = Cumulative(Head(bounded(spec), components, narrowest))
    net = MADE(turn.argsort(), cumulative.params, context, width, depth, octaves, dropout)
    return Flow(
        Compose([Rescale(spec), Autoregressive(turn, net, cumulative)]),
        StandardNormal(spec.shape),
        normaliser(spec),
    )
