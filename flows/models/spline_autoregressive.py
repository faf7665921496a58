"""Autoregressive neural spline flow."""

from __future__ import annotations

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.nets import MADE
from flows.transforms import (
    Autoregressive,
    Probit,
    Rescale,
    Spline,
    autoregressive_sizes,
    bounded,
    normaliser,
    reversing_order,
)
from flows.types import Bins, Fraction, Octaves, PositiveFloat, PositiveInt


def spline_autoregressive(
    spec: Spec,
    layers: PositiveInt = 2,
    bins: Bins = 16,
    width: PositiveInt = 128,
    depth: PositiveInt = 2,
    octaves: Octaves = 3,
    dropout: Fraction = 0.0,
    reach: PositiveFloat = 5.0,
) -> Flow:
    """Rescale, then `layers` splines of each feature given those before it, in an order that turns round.

    Bounded features stay on the unit interval to the end, where what is uniform becomes Gaussian; the
    others are standardised, and beyond `reach` the splines leave them as they are. To score costs a call of
    each layer's net, to sample one for each feature.

    Args:
        spec: What the data is.
        layers: Autoregressive transforms.
        bins: Pieces of each spline.
        width: Units of each conditioner's layers.
        depth: Residual blocks of each conditioner.
        octaves: Sine features of a conditioner's inputs.
        dropout: Share of their hidden units that is left out in training.
        reach: Half the interval of a spline of an unbounded feature, in standard deviations.

    Raises: UserError if x or the context isn't a vector, or the nets are too narrow.
    References: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.

    >>> flow = spline_autoregressive(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    features, context = autoregressive_sizes(spec, "model=spline_autoregressive", width)
    closed = bounded(spec)
    transforms = []
    for layer in range(layers):
        order = reversing_order(features, layer)
        spline = Spline(closed, bins, reach)
        net = MADE(order, spline.params, context, width, depth, octaves, dropout)
        transforms.append(Autoregressive(order, net, spline))
    return Flow(
        Compose([Rescale(spec), *transforms, Probit(closed)]),
        StandardNormal(spec.shape),
        normaliser(spec),
    )
