"""torch's optimizers without torch's compiler.

They import it to say that they aren't to be compiled, and it takes longer to import than anything else of a
run but torch. Ours are never compiled, only gradients are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer


def optimizer_of(weights: nn.Parameter, build: Callable[[list[nn.Parameter]], Optimizer]) -> Optimizer:
    """What `build` makes of one vector."""
    with _unguarded():
        return build([weights])


def stepper(optimizer: Optimizer) -> Callable[[], object]:
    """Its step; of one of torch's own, without hooks and profiling.

    >>> weights = nn.Parameter(torch.ones(2))
    >>> weights.grad = torch.ones(2)
    >>> _ = stepper(optimizer_of(weights, torch.optim.SGD))()
    >>> weights.detach()
    tensor([0.9990, 0.9990])
    """
    if not type(optimizer).__module__.startswith("torch.optim."):
        return optimizer.step  # whose wrappers are its author's
    step = inspect.unwrap(type(optimizer).step)

    def plain() -> None:
        with torch.set_grad_enabled(optimizer.defaults.get("differentiable", False)):
            step(optimizer)

    return plain


@contextmanager
def _unguarded() -> Iterator[None]:
    """Meanwhile the method with which optimizers take up their parameters leaves the compiler alone."""
    guarded = Optimizer.add_param_group
    Optimizer.add_param_group = inspect.unwrap(guarded)
    try:
        yield
    finally:
        Optimizer.add_param_group = guarded
