"""Autoregressive flow of mixtures, each a distribution function."""

from __future__ import annotations

import torch

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.errors import UserError
from flows.heads import Head
from flows.nets import MADE
from flows.transforms import Autoregressive, Cumulative, Rescale, Standardize, bounded
from flows.types import Fraction, Narrow, Octaves, PositiveInt


def mixture_autoregressive(
    spec: Spec,
    layers: PositiveInt = 1,
    components: PositiveInt = 6,
    narrowest: Narrow = 5e-4,
    width: PositiveInt = 128,
    depth: PositiveInt = 2,
    octaves: Octaves = 3,
    dropout: Fraction = 0.0,
    order: list[str] | None = None,
) -> Flow:
    """Rescale, then carry each feature, given those before it, to a standard Gaussian by a mixture's law.

    One layer is the chain rule with a mixture for each feature, which can have edges and plateaus; a further
    one does the same, in the opposite order, to what is left. To score costs a call of each layer's net, to
    sample one for each feature and a bisection.

    Args:
        spec: What the data is.
        layers: Autoregressive transforms.
        components: Plateaus in each feature's mixture.
        narrowest: Least scale of an edge, in a bounded feature's range or another's standard deviations.
        width: Units of each conditioner's layers.
        depth: Residual blocks of each conditioner.
        octaves: Sine features of a conditioner's inputs.
        dropout: Share of their hidden units that is left out in training.
        order: All names, in the order in which the first layer takes the features; None for that of the data.

    Raises: UserError if x isn't a vector, or the order isn't one of its names.
    References: Huang et al. 2018, Neural autoregressive flows, arXiv:1804.00779.

    >>> flow = mixture_autoregressive(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    if len(spec.shape) != 1:
        raise UserError(f"model=mixture_autoregressive needs vectors; this dataset has {spec.shape}")
    (features,), (context,) = spec.shape, spec.context_shape or (0,)
    first = torch.arange(features) if order is None else spec.places(order, "model.order")
    transforms = []
    for layer in range(layers):
        turn = first if layer % 2 == 0 else first.flip(0)
        closed = bounded(spec) if layer == 0 else torch.zeros(features, dtype=torch.bool)
        cumulative = Cumulative(Head(closed, components, narrowest))
        net = MADE(turn.argsort(), cumulative.params, context, width, depth, octaves, dropout)
        transforms.append(Autoregressive(turn, net, cumulative))
    return Flow(
        Compose([Rescale(spec), *transforms]),
        StandardNormal(spec.shape),
        Standardize(spec.context_shape) if spec.context_shape else None,
    )
