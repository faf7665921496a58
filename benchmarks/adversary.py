"""One step of WGAN-GP, a turn of each player, beside the original project's nets of as many parameters.

The original, from its description: a prior net and four maps of each cell whose scale and shift nets make of
the context, a critic of three convolutions, batch norm in all. Fields of 32 × 32 cells, 10 channels given
6, batches of 8; medians over rounds in which both take turns, each at its best thread count.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from benchmarks.turns import in_turns
from data.memory import InMemory
from flows.core import Batch, Part, Spec
from flows.models.conditional_flow import conditional_flow
from flows.nets import Critic
from flows.objectives import WGANGP
from flows.training.runtime import Runtime
from flows.training.trainer import Trainer

CONTEXT, TARGET, SIDE, BATCH, EXAMPLES = 6, 10, 32, 8, 256
LAYERS, LR, BETAS, PENALTY = 4, 1e-4, (0.5, 0.9), 10.0
ROUNDS, STEPS, WARM, THREADS = 5, 5, 2, (1, 2)
Step = Callable[[], None]


@final
class Noise:
    """A dataset of as many fields as the benchmark needs, without any law worth learning."""

    truth = None
    spec = Spec(
        names=tuple(f"x{k}" for k in range(TARGET)),
        shape=(TARGET, SIDE, SIDE),
        context_names=tuple(f"c{k}" for k in range(CONTEXT)),
        context_shape=(CONTEXT, SIDE, SIDE),
    )

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        size = (EXAMPLES, CONTEXT + TARGET, SIDE, SIDE)
        x, context = torch.randn(size, generator=generator).split([TARGET, CONTEXT], dim=1)
        self.all = InMemory(x.contiguous(), context.contiguous())

    def source(self, part: Part) -> InMemory:
        return self.all

    def classes(self, part: Part) -> None:
        return None

    def layout(self, part: Part) -> None:
        return None


def ours(dataset: Noise) -> tuple[Step, dict[str, int]]:
    """The default flow and critic, with clipping, guard and logs; and the parameters of each."""
    torch.manual_seed(0)
    objective = WGANGP(partial(Critic), n_critic=1, penalty=PENALTY)
    optimizer = partial(torch.optim.Adam, lr=LR, betas=BETAS, fused=True)
    trainer = Trainer(objective, optimizer, BATCH, max_steps=1000, clip_norm=5.0)
    run = trainer.start(conditional_flow(dataset.spec), dataset, Runtime(device="cpu"), 0)
    run.steps = 1000

    def step() -> None:
        for _ in objective.cycle:
            trainer.take_turn(run)

    return step, {name: _count(net) for name, net in run.nets.items()}


def theirs(dataset: Noise, parameters: dict[str, int]) -> tuple[Step, dict[str, int]]:
    """The original's two nets, each as wide as to have so many parameters, and its plain loop."""
    torch.manual_seed(0)
    generator = _as_large(Diagonal, parameters["model"])
    critic = _as_large(_critic, parameters["critic"])
    optimizers = {net: torch.optim.Adam(net.parameters(), LR, BETAS) for net in (generator, critic)}
    batches = _batches(dataset)

    def descend(net: nn.Module, loss: Tensor) -> None:
        optimizers[net].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizers[net].step()

    def step() -> None:
        x, context = next(batches)
        with torch.no_grad():
            fake = generator.draw(torch.randn_like(x), context)
        share = torch.rand(len(x), 1, 1, 1)
        between = (share * x + (1 - share) * fake).requires_grad_()
        score = critic(torch.cat((between, context), 1)).sum()
        (slope,) = torch.autograd.grad(score, between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        scores = [critic(torch.cat((some, context), 1)).mean() for some in (fake, x)]
        descend(critic, scores[0] - scores[1] + PENALTY * penalty)

        x, context = next(batches)
        fake = generator.draw(torch.randn_like(x), context)
        adversarial = -critic(torch.cat((fake, context), 1)).mean()
        descend(generator, adversarial - generator.log_prob(x, context).mean() / x[0].numel())

    return step, {"model": _count(generator), "critic": _count(critic)}


@final
class Diagonal(nn.Module):
    """x = k(c)·z + b(c), four times over, from a z of mean and standard deviation that c gives."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(_conditioner(width) for _ in range(1 + LAYERS))

    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        for net in self.nets:
            log_scale, shift = net(context).chunk(2, dim=1)
            noise = noise * log_scale.exp() + shift
        return noise

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        ladj = torch.zeros(len(x))
        for net in [*self.nets][::-1]:
            log_scale, shift = net(context).chunk(2, dim=1)
            x = (x - shift) * (-log_scale).exp()
            ladj = ladj - log_scale.sum((1, 2, 3))
        return ladj - 0.5 * (x.square() + math.log(2 * math.pi)).sum((1, 2, 3))


def _conditioner(width: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(CONTEXT, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        nn.Conv2d(width, 2 * TARGET, 3, padding=1),
    )


def _critic(width: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(CONTEXT + TARGET, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)),
        nn.Conv2d(2 * width, 1, 4, stride=2, padding=1),
    )


def _as_large(make: Callable[[int], nn.Module], parameters: int) -> Any:
    """The net of the width whose parameters come nearest."""
    return min(map(make, range(4, 160)), key=lambda net: abs(_count(net) - parameters))


def _batches(dataset: Noise) -> Iterator[Batch]:
    while True:
        for places in torch.randperm(EXAMPLES).split(BATCH):
            yield dataset.all.take(places)


def _count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def measure() -> dict[str, Any]:
    """Milliseconds a step, and parameters of each player."""
    dataset = Noise()
    our_step, parameters = ours(dataset)
    their_step, as_many = theirs(dataset, parameters)
    steps = {"flowlab": our_step, "original": their_step}
    medians, best = in_turns(steps, _time, ROUNDS, THREADS)
    return {
        "milliseconds": {name: round(value, 1) for name, value in best.items()},
        "flowlab_as_fraction_of_original": round(best["flowlab"] / best["original"], 3),
        "by_threads": {f"{name}, {threads}": round(value, 1) for (name, threads), value in medians.items()},
        "parameters": {"flowlab": parameters, "original": as_many},
    }


def _time(step: Step) -> float:
    for _ in range(WARM):
        step()
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - begin) / STEPS * 1e3


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
