"""The limit: the matrix products of everybody's nets, and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import Contender, Work


def build(architecture: Architecture, mode: str) -> Contender:
    def forward(n: int) -> Work:
        return _products(architecture.products, n, backward=False)

    def scored(x: np.ndarray) -> Work:
        return forward(len(x))

    step = _products(architecture.products, architecture.batch, backward=True)
    return Contender(architecture.parameters, step, scored, forward)


def _products(shapes: list[tuple[int, int]], n: int, backward: bool) -> Work:
    """Of a batch of n: forward, and if asked for the gradients of inputs and of weights."""
    torch.manual_seed(0)
    operands = [(torch.randn(n, a), torch.randn(a, b), torch.randn(n, b)) for a, b in shapes]
    gradients = [(torch.empty_like(x), torch.empty_like(w)) for x, w, _ in operands]

    @torch.no_grad()
    def work() -> None:
        for (x, w, y), (dx, dw) in zip(operands, gradients, strict=True):
            torch.mm(x, w, out=y)
            if backward:
                torch.mm(y, w.T, out=dx)
                torch.mm(x.T, y, out=dw)

    return work
