"""What the peers in torch have in common: the plain loop of their examples, an optimizer, a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.contenders.architecture import LR, Architecture
from benchmarks.contenders.contender import Contender, Work
from benchmarks.contenders.device import DEVICE, wait


class Parts(NamedTuple):
    """A peer's flow with its own loss, log_prob and sample."""

    flow: nn.Module
    loss: Callable[[Tensor], Tensor]
    log_prob: Callable[[Tensor], Tensor]
    sample: Callable[[int], object]


def contender(make: Callable[[Architecture], Parts], architecture: Architecture, mode: str) -> Contender:
    """Its step is loss, backward, Adam: fused in all modes but the first; in the last all is compiled."""
    with DEVICE:
        flow, *functions = make(architecture)
    loss, log_prob, sample = functions
    if mode == "compiled":
        loss, log_prob, sample = (torch.compile(f, dynamic=False) for f in functions)
    optimizer = torch.optim.Adam(flow.parameters(), LR, fused=mode != "")
    batches = _batches(torch.from_numpy(architecture.data()).to(DEVICE), architecture.batch)

    def step() -> None:
        optimizer.zero_grad()
        loss(next(batches)).backward()
        optimizer.step()

    count = sum(p.numel() for p in flow.parameters())
    return Contender(count, step, scoring(log_prob), lambda n: _quiet(sample, n), wait)


def scoring(log_prob: Callable[[Tensor], object]) -> Callable[[np.ndarray], Work]:
    """The work of scoring, without gradients."""
    return lambda x: _quiet(log_prob, torch.from_numpy(x).to(DEVICE))


def _quiet(function: Callable[..., object], argument: object) -> Work:
    @torch.no_grad()
    def work() -> object:
        return function(argument)

    return work


def _batches(data: Tensor, size: int) -> Iterator[Tensor]:
    size = min(size, len(data))
    while True:
        for places in torch.randperm(len(data), device=data.device)[: len(data) // size * size].split(size):
            yield data[places]
