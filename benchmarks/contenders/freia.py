"""FrEIA's affine couplings: each of its blocks is two, one of each half."""

from __future__ import annotations

import math
from itertools import pairwise

import FrEIA.framework as Ff
import FrEIA.modules as Fm
import torch
from torch import Tensor, nn

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.eager import Parts, contender


def build(architecture: Architecture, mode: str) -> Contender:
    return contender(parts, architecture, mode)


def parts(architecture: Architecture) -> Parts:
    """Its flow, and the loss of its first example; it has neither log_prob nor sample by name."""
    flow = model(architecture)

    def log_prob(x: Tensor) -> Tensor:
        z, ladj = flow(x)
        return ladj - 0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def loss(x: Tensor) -> Tensor:
        z, ladj = flow(x)
        return (0.5 * z.square().sum(-1) - ladj).mean()

    def sample(n: int) -> Tensor:
        return flow(torch.randn(n, architecture.features), rev=True, jac=False)[0]

    return Parts(flow, loss, log_prob, sample)


def model(architecture: Architecture) -> Ff.SequenceINN:
    """Half as many blocks as couplings."""
    flow = Ff.SequenceINN(architecture.features)
    hidden = [architecture.width] * architecture.depth

    def net(inputs: int, outputs: int) -> nn.Module:
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise([inputs, *hidden])]
        return nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))

    for _ in range(architecture.layers // 2):
        flow.append(Fm.GLOWCouplingBlock, subnet_constructor=net)
    return flow
