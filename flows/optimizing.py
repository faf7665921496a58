"""torch's optimizers without torch's compiler.

They import the compiler only to exempt themselves from it, and after torch itself that is a run's slowest
import. We compile gradients, never optimizers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer


def optimizer_of(weights: nn.Parameter, build: Callable[[list[nn.Parameter]], Optimizer]) -> Optimizer:
    """The optimizer that `build` makes of one vector."""
    with _unguarded():
        return build([weights])


def stepper(optimizer: Optimizer) -> Callable[[], object]:
    """The function that takes an optimizer's step; of torch's own optimizers without hooks and profiling.

    >>> weights = nn.Parameter(torch.ones(2))
    >>> weights.grad = torch.ones(2)
    >>> _ = stepper(optimizer_of(weights, torch.optim.SGD))()
    >>> weights.detach()
    tensor([0.9990, 0.9990])
    """
    if not type(optimizer).__module__.startswith("torch.optim."):
        return optimizer.step  # somebody else's may rely on its wrappers
    step = inspect.unwrap(type(optimizer).step)

    def plain() -> None:
        with torch.set_grad_enabled(optimizer.defaults.get("differentiable", False)):
            step(optimizer)

    return plain


@contextmanager
def _unguarded() -> Iterator[None]:
    """While the context is open, `Optimizer.add_param_group` doesn't import the compiler."""
    guarded = Optimizer.add_param_group
    Optimizer.add_param_group = inspect.unwrap(guarded)
    try:
        yield
    finally:
        Optimizer.add_param_group = guarded
