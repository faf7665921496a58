"""The limit: the matrix products of everybody's nets, and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.contenders.architecture import Architecture
from benchmarks.contenders.contender import MEMBERS, Contender, Work
from benchmarks.contenders.device import DEVICE, recorded, wait


def build(architecture: Architecture, mode: str) -> Contender:
    """Of one model or, "batched", of as many as ours trains together."""
    members = MEMBERS if mode == "batched" else 1

    def forward(n: int) -> Work:
        return _products(architecture.products, n, backward=False)

    def scored(x: np.ndarray) -> Work:
        return forward(len(x))

    step = _products(architecture.products, architecture.batch, backward=True, members=members)
    return Contender(architecture.parameters, step, scored, forward, wait, members)


def _products(shapes: list[tuple[int, int]], n: int, backward: bool, members: int = 1) -> Work:
    """Of a batch of n: forward, and if asked for the gradients of inputs and of weights."""
    torch.manual_seed(0)
    lead = (members,) if members > 1 else ()
    sizes = [((*lead, n, a), (*lead, a, b), (*lead, n, b)) for a, b in shapes]
    operands = [tuple(torch.randn(shape, device=DEVICE) for shape in each) for each in sizes]
    gradients = [(torch.empty_like(x), torch.empty_like(w)) for x, w, _ in operands]

    @torch.no_grad()
    def work() -> None:
        for (x, w, y), (dx, dw) in zip(operands, gradients, strict=True):
            torch.matmul(x, w, out=y)
            if backward:
                torch.matmul(y, w.mT, out=dx)
                torch.matmul(x.mT, y, out=dw)

    return recorded(work)
