"""Masked autoregressive flow: affine maps of each feature, given those before it."""

from __future__ import annotations

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.nets import MADE
from flows.transforms import (
    Affine,
    Autoregressive,
    autoregressive_sizes,
    normaliser,
    reversing_order,
    to_reals,
)
from flows.types import Fraction, PositiveFloat, PositiveInt


def affine_autoregressive(
    spec: Spec,
    layers: PositiveInt = 5,
    width: PositiveInt = 128,
    depth: PositiveInt = 2,
    dropout: Fraction = 0.0,
    bound: PositiveFloat = 2.0,
) -> Flow:
    """Standardise, then `layers` affine maps of each feature given those before it, by turns backwards.

    Bounded features go by their logit first. To score costs a call of each layer's net, to sample one for
    each feature. Unlike in the paper there is no batch normalisation: an example's density is its own.

    Args:
        spec: What the data is.
        layers: Autoregressive transforms.
        width: Units of each conditioner's layers.
        depth: Residual blocks of each conditioner.
        dropout: Share of their hidden units that is left out in training.
        bound: Largest |log-scale| of one transform.

    Raises: UserError if x or the context isn't a vector, or the nets are too narrow.
    References: Papamakarios et al. 2017, Masked autoregressive flow for density estimation,
        arXiv:1705.07057.

    >>> flow = affine_autoregressive(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    features, context = autoregressive_sizes(spec, "model=affine_autoregressive", width)
    transforms = []
    for layer in range(layers):
        order = reversing_order(features, layer)
        net = MADE(order, Affine.params, context, width, depth, dropout=dropout)
        transforms.append(Autoregressive(order, net, Affine(bound)))
    return Flow(Compose([*to_reals(spec), *transforms]), StandardNormal(spec.shape), normaliser(spec))
