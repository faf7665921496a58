"""Neural spline flow: couplings whose scalar bijections are splines."""

from __future__ import annotations

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.nets import MLP, Activation
from flows.transforms import Coupling, Probit, Rescale, Spline, alternating, bounded, normaliser
from flows.types import Bins, Fraction, PositiveFloat, PositiveInt


def spline_coupling(
    spec: Spec,
    layers: PositiveInt = 6,
    bins: Bins = 8,
    width: PositiveInt = 128,
    depth: PositiveInt = 2,
    activation: Activation = "relu",
    dropout: Fraction = 0.0,
    reach: PositiveFloat = 5.0,
) -> Flow:
    """Rescale, then `layers` couplings by rational-quadratic splines whose masks alternate.

    Bounded features stay on the unit interval to the end, where what is uniform becomes Gaussian; the
    others are standardised, and beyond `reach` the splines leave them as they are.

    Args:
        spec: What the data is; two features or more.
        layers: Couplings.
        bins: Pieces of each spline.
        width: Hidden units of each conditioner.
        depth: Hidden layers of each conditioner.
        activation: Nonlinearity of the conditioners.
        dropout: Share of their hidden units that is left out in training.
        reach: Half the interval of a spline of an unbounded feature, in standard deviations.

    Raises: UserError if x isn't a vector of at least two features, or the context no vector.
    References: Durkan et al. 2019, Neural spline flows, arXiv:1906.04032.

    >>> flow = spline_coupling(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    features, context = spec.vectors("model=spline_coupling", least=2)
    closed = bounded(spec)
    couplings = []
    for layer in range(layers):
        mask = alternating(features, start=layer % 2 == 0)
        kept = int(mask.sum())
        spline = Spline(closed[~mask], bins, reach)
        outputs = spline.params * (features - kept)
        net = MLP(kept, outputs, context, width, depth, activation, dropout, columns=True)
        couplings.append(Coupling(mask, net, spline))
    return Flow(
        Compose([Rescale(spec), *couplings, Probit(closed)]),
        StandardNormal(spec.shape),
        normaliser(spec),
    )
