"""nflows' couplings, with its own MLP as their net."""

from __future__ import annotations

from functools import partial

import torch
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.nn.nets import MLP
from nflows.transforms import (
    AffineCouplingTransform,
    CompositeTransform,
    PiecewiseRationalQuadraticCouplingTransform,
)
from torch import Tensor, nn

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.eager import Parts, contender


def build(architecture: Architecture, mode: str) -> Contender:
    return contender(parts, architecture, mode)


def parts(architecture: Architecture) -> Parts:
    flow = model(architecture)
    return Parts(flow, lambda x: -flow.log_prob(x).mean(), flow.log_prob, flow.sample)


def model(architecture: Architecture) -> Flow:
    """Couplings with masks in its sense: what is positive is moved."""
    net = partial(Net, [architecture.width] * architecture.depth)
    couple = AffineCouplingTransform
    if architecture.kind == "spline":
        couple = partial(
            PiecewiseRationalQuadraticCouplingTransform,
            num_bins=architecture.bins,
            tails="linear",
            tail_bound=architecture.reach,
        )
    masks = [
        torch.tensor([-1 if k else 1 for k in architecture.kept(layer)])
        for layer in range(architecture.layers)
    ]
    transform = CompositeTransform([couple(mask, net) for mask in masks])
    return Flow(transform, StandardNormal([architecture.features]))


class Net(nn.Module):
    """Its MLP, which takes no context, where couplings hand one on."""

    def __init__(self, hidden: list[int], inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden_features = hidden[0]  # by which its splines scale what the net gives
        self.mlp = MLP([inputs], [outputs], hidden, activation=torch.relu)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        return self.mlp(x)
