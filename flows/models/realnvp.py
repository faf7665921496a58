"""RealNVP: affine couplings with alternating masks."""

from __future__ import annotations

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Spec
from flows.nets import MLP, Activation, Separate
from flows.transforms import Affine, Coupling, alternating, normaliser, to_reals
from flows.types import Fraction, PositiveFloat, PositiveInt


def realnvp(
    spec: Spec,
    layers: PositiveInt = 16,
    width: PositiveInt = 32,
    depth: PositiveInt = 2,
    activation: Activation = "relu",
    dropout: Fraction = 0.0,
    bound: PositiveFloat = 2.0,
    shared_net: bool = True,
) -> Flow:
    """Standardise, then `layers` affine couplings whose masks alternate, onto a standard Gaussian.

    Bounded features go by their logit first.

    Args:
        spec: What the data is; two features or more.
        layers: Couplings.
        width: Hidden units of each conditioner.
        depth: Hidden layers of each conditioner.
        activation: Nonlinearity of the conditioners.
        dropout: Share of their hidden units that is left out in training.
        bound: Largest |log-scale| of one coupling.
        shared_net: Whether one net gives both scale and shift, or each has its own.

    Raises: UserError if x isn't a vector of at least two features, or the context no vector.
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.

    >>> import torch
    >>> flow = realnvp(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> flow.log_prob(flow.sample(7)).shape
    torch.Size([7])
    """
    features, context = spec.vectors("model=realnvp", least=2)
    couplings = []
    for layer in range(layers):
        mask = alternating(features, start=layer % 2 == 0)
        kept = int(mask.sum())
        moved = features - kept
        outputs = [Affine.params * moved] if shared_net else [moved] * Affine.params
        nets = [MLP(kept, size, context, width, depth, activation, dropout) for size in outputs]
        couplings.append(Coupling(mask, nets[0] if shared_net else Separate(nets), Affine(bound)))
    return Flow(
        Compose([*to_reals(spec), *couplings]),
        StandardNormal(spec.shape),
        normaliser(spec),
    )
