"""Asking a density about many points, a block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from flows.core import AnySubset, Batch, Dataset, Density, Flow, Part, Sampler, Source
from flows.errors import UserError
from flows.signals import stop_if_asked
from flows.training.thinned import evenly

BLOCK = 8192  # examples at once, of fields fewer:
MOST = 2**25  # numbers of all examples that are held at once
NUMBERS = 2**17  # of more, what nets make of them outgrows the processor's cache
CONTEXTS = 8


def place(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module computes, and how finely; in float64 on the CPU if it has no tensors of its own."""
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float64


def keep_memory() -> None:
    """Let the process keep what it frees, up to 64 MiB, instead of asking the system for it again and again.

    glibc keeps up to twice the largest block that has been freed, of those below 32 MiB; elsewhere this does
    nothing. Without it, fresh pages take nearly half the time of drawing fields.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def some_contexts(context: Tensor | None) -> Tensor | None:
    """Up to eight distinct contexts of (N, *context_shape)."""
    if context is None:
        return None
    kinds = context.unique(dim=0)
    return kinds[evenly(len(kinds), CONTEXTS)]


def examples(dataset: Dataset, part: Part, limit: int, generator: torch.Generator) -> Batch:
    """At most `limit` examples of one part, fewer if they are large; draws of the truth where a dataset has
    nothing else.

    Raises: UserError if the dataset has neither.
    """
    source = dataset.source(part)
    size = math.prod(dataset.spec.shape) + math.prod(dataset.spec.context_shape or (0,))
    limit = max(1, min(limit, MOST // size))
    if source is not None:
        return source.take(evenly(len(source), limit))
    if dataset.truth is None:
        raise UserError(
            f"the dataset has no {part} part and no known density, so nothing can be measured on it"
        )
    return Batch(samples(dataset.truth, limit, None, generator, size=size))


def every(source: Source, block: int = BLOCK) -> Iterator[Batch]:
    """All examples of a source, in their order."""
    for start in range(0, len(source), block):
        stop_if_asked()
        yield source.take(slice(start, min(start + block, len(source))))


@torch.no_grad()
def log_prob(density: Density, batch: Batch, block: int = BLOCK) -> Tensor:
    """Log-density of each example in nats, float64 (N,) on the CPU."""
    keep_memory()
    device, dtype = place(density)
    blocks = zip(*_split(batch, block), strict=True)
    return torch.cat([density.log_prob(*_to(b, device, dtype)).double().cpu() for b in blocks])


@torch.no_grad()
def latent(flow: Flow, batch: Batch, block: int = BLOCK) -> Tensor:
    """z of each example, float64 (N, *shape) on the CPU."""
    device, dtype = place(flow)
    blocks = zip(*_split(batch, block), strict=True)
    return torch.cat([flow.latent(*_to(b, device, dtype))[0].double().cpu() for b in blocks])


@torch.no_grad()
def conditionals(density: AnySubset, batch: Batch, given: Tensor, block: int = BLOCK) -> Tensor:
    """log p of each feature given those that row of `given` (D, D) names, float64 (N, D) on the CPU."""
    device, dtype = place(density)
    blocks = zip(*_split(batch, block), strict=True)
    known = given.to(device)
    found = []
    for each in blocks:
        x, context = _to(each, device, dtype)
        found.append(density.conditionals(x, known, context).double().cpu())
    return torch.cat(found)


@torch.no_grad()
def samples(
    sampler: Sampler,
    n: int,
    contexts: Tensor | None,
    generator: torch.Generator,
    block: int = BLOCK,
    size: int = 1,
) -> Tensor:
    """n draws, float64 (n, *shape) on the CPU; with contexts (n, *context_shape), one for each.

    The generator must live where the sampler does. `size` is how many numbers an example has, where it may be
    large and no context tells.
    """
    keep_memory()
    device, dtype = place(sampler)
    size = size if contexts is None else contexts[0].numel()
    block = min(block, max(1, NUMBERS // size))
    drawn = []
    for start in range(0, n, block):
        stop_if_asked()
        if contexts is None:
            x = sampler.sample(min(block, n - start), None, generator)
        else:
            x = sampler.sample(1, contexts[start : start + block].to(device, dtype), generator)[0]
        drawn.append(x.double().cpu())
    return torch.cat(drawn)


def _split(batch: Batch, block: int) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    block = min(block, max(1, NUMBERS // batch.x[0].numel()))
    x = batch.x.split(block)
    return x, (None,) * len(x) if batch.context is None else batch.context.split(block)


def _to(
    block: tuple[Tensor, Tensor | None], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    stop_if_asked()
    x, context = block
    return x.to(device, dtype), None if context is None else context.to(device, dtype)
