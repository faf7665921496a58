"""normflows' couplings, with its own MLP as their net."""

from __future__ import annotations

import normflows as nf
import torch
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling
from torch import Tensor, nn

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.eager import Parts, contender


def build(architecture: Architecture, mode: str) -> Contender:
    return contender(parts, architecture, mode)


def parts(architecture: Architecture) -> Parts:
    flow = model(architecture)
    return Parts(flow, flow.forward_kld, flow.log_prob, flow.sample)


def model(architecture: Architecture) -> nf.NormalizingFlow:
    """Its flow, base first."""
    base = nf.distributions.DiagGaussian(architecture.features, trainable=False)
    layers = _affine if architecture.kind == "realnvp" else _splines
    return nf.NormalizingFlow(base, layers(architecture))


def _affine(architecture: Architecture) -> list[nn.Module]:
    flows: list[nn.Module] = []
    for sizes in architecture.nets():
        flows.append(nf.flows.AffineCouplingBlock(nf.nets.MLP(sizes, init_zeros=True)))
        flows.append(nf.flows.Permute(architecture.features, mode="swap"))
    return flows


def _splines(architecture: Architecture) -> list[nn.Module]:
    """Its spline layers; their residual nets, twice as deep, make way for its MLP."""
    hidden, flows = [architecture.width] * architecture.depth, []
    for layer in range(architecture.layers):
        flow = nf.flows.CoupledRationalQuadraticSpline(architecture.features, 0, 1)
        flow.prqct = PiecewiseRationalQuadraticCoupling(
            torch.tensor([-1 if k else 1 for k in architecture.kept(layer)]),
            lambda inputs, outputs: Net(inputs, hidden, outputs),
            num_bins=architecture.bins,
            tails="linear",
            tail_bound=architecture.reach,
        )
        flows.append(flow)
    return flows


class Net(nn.Module):
    """Its MLP, which takes no context, where couplings hand one on."""

    def __init__(self, inputs: int, hidden: list[int], outputs: int) -> None:
        super().__init__()
        self.hidden_features = hidden[0]  # by which its splines scale what the net gives
        self.mlp = nf.nets.MLP([inputs, *hidden, outputs], init_zeros=True)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        return self.mlp(x)
