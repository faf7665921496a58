"""zuko's coupling flows."""

from __future__ import annotations

from functools import partial

import zuko
from torch import nn

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.eager import Parts, contender


def build(architecture: Architecture, mode: str) -> Contender:
    return contender(parts, architecture, mode)


def parts(architecture: Architecture) -> Parts:
    flow = model(architecture)
    return Parts(
        flow,
        loss=lambda x: -flow().log_prob(x).mean(),
        log_prob=lambda x: flow().log_prob(x),
        sample=lambda n: flow().sample((n,)),
    )


def model(architecture: Architecture) -> nn.Module:
    """Its coupling flow; with splines where they are asked for, over its own interval of ±5."""
    hidden, bins = (architecture.width,) * architecture.depth, architecture.bins
    if architecture.kind == "realnvp":
        return zuko.flows.RealNVP(
            architecture.features, transforms=architecture.layers, hidden_features=hidden
        )
    spline = partial(zuko.transforms.MonotonicRQSTransform, bound=architecture.reach)
    return zuko.flows.NICE(
        architecture.features,
        transforms=architecture.layers,
        univariate=spline,
        shapes=[(bins,), (bins,), (bins - 1,)],
        hidden_features=hidden,
    )
