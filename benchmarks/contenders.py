"""The same training step, ours and the peers': RealNVP in the plane, 8 affine couplings of 2 x 64 relu units.

Each function sets one up and returns a step: a batch in, one update done. The peers' steps are plain: loss,
backward, Adam, as their own examples have it, and once more with fused Adam. Ours clips, averages, guards and
keeps count besides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

LAYERS, WIDTH, DEPTH, BATCH, LR = 8, 64, 2, 256, 1e-3
Step = Callable[[int], None]


def flowlab(data: Tensor) -> Step:
    """Our trainer's own turn, with everything on; the log is read every 100 steps."""
    from data.memory import InMemory
    from flows.core import Batch, Spec
    from flows.models.realnvp import realnvp
    from flows.objectives import Likelihood
    from flows.training.player import Player
    from flows.training.run import Run
    from flows.training.stream import Stream
    from flows.training.trainer import Trainer

    optimizer = partial(torch.optim.AdamW, lr=LR, fused=True)
    trainer = Trainer(Likelihood(), optimizer, BATCH, max_steps=10**6, clip_norm=5.0, ema=0.999)
    model = realnvp(Spec(("x", "y"), (2,)), LAYERS, WIDTH, DEPTH, "relu")
    with torch.no_grad():
        model.initialise(Batch(data))
    players = {"model": Player(model, optimizer, trainer.clip_norm, trainer.ema)}
    stream = Stream(InMemory(data), BATCH, torch.Generator().manual_seed(0))
    run = Run(trainer.objective, players, stream, torch.Generator())
    run.steps = 10**6

    def step(k: int) -> None:
        trainer.take_turn(run)
        if k % 100 == 0:
            run.means()
            run.diverged_at()

    return step


def zuko(data: Tensor, fused: bool = False) -> Step:
    """zuko's RealNVP."""
    import zuko

    flow = zuko.flows.RealNVP(2, transforms=LAYERS, hidden_features=(WIDTH,) * DEPTH)
    return _plain(data, flow, lambda x: -flow().log_prob(x).mean(), fused)


def nflows(data: Tensor, fused: bool = False) -> Step:
    """nflows' affine couplings, with a net of the same size as everybody's."""
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.nn.nets import MLP
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    def net(inputs: int, outputs: int) -> nn.Module:
        mlp = MLP([inputs], [outputs], [WIDTH] * DEPTH, activation=torch.relu)
        mlp.forward = partial(_without_context, mlp.forward)
        return mlp

    masks = [torch.tensor([1, -1]) * (-1) ** layer for layer in range(LAYERS)]
    flow = Flow(CompositeTransform([AffineCouplingTransform(m, net) for m in masks]), StandardNormal([2]))
    return _plain(data, flow, lambda x: -flow.log_prob(x).mean(), fused)


def products(data: Tensor) -> Step:
    """The limit: the same matrix products alone, forward and backward, and nothing else."""
    sizes = [1, *[WIDTH] * DEPTH, 2]
    shapes = [*pairwise(sizes)] * LAYERS
    weights = [torch.randn(a, b) for a, b in shapes]
    inputs = [torch.randn(BATCH, a) for a, _ in shapes]
    outputs = [torch.randn(BATCH, b) for _, b in shapes]

    @torch.no_grad()
    def step(k: int) -> None:
        for w, x, g in zip(weights, inputs, outputs, strict=True):
            torch.mm(x, w)  # forward
            torch.mm(g, w.T)  # gradient of the input
            torch.mm(x.T, g)  # gradient of the weights

    return step


CONTENDERS: dict[str, Callable[[Tensor], Step]] = {
    "flowlab": flowlab,
    "zuko": zuko,
    "nflows": nflows,
    "zuko, fused Adam": partial(zuko, fused=True),
    "nflows, fused Adam": partial(nflows, fused=True),
    "matrix products": products,
}


def _plain(data: Tensor, flow: nn.Module, loss: Callable[[Tensor], Tensor], fused: bool) -> Step:
    optimizer = torch.optim.Adam(flow.parameters(), lr=LR, fused=fused)
    order, blocks = torch.Generator().manual_seed(0), len(data) // BATCH
    batches: list[Tensor] = []

    def step(k: int) -> None:
        if k % blocks == 0:
            batches[:] = torch.randperm(len(data), generator=order)[: blocks * BATCH].split(BATCH)
        optimizer.zero_grad()
        loss(data[batches[k % blocks]]).backward()
        optimizer.step()

    return step


def _without_context(forward: Callable[[Tensor], Tensor], x: Tensor, context: None = None) -> Tensor:
    """nflows hands its nets a context, but its MLP takes none."""
    return forward(x)
