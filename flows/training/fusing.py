"""What makes a pure gradient faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from flows.training.capture import Captured
from flows.training.checkpoint import Tensors
from flows.training.compiling import compile_step
from flows.training.gradient import Gradient
from flows.training.guard import Checked


def fused(
    function: Gradient,
    nets: Mapping[str, nn.Module],
    compiled: bool,
    captured: bool,
    then: Callable[[Checked, Tensors], None] | None = None,
) -> Gradient:
    """The same gradient of tensors that keep their shapes, made faster by its first calls.

    Args:
        function: Pure.
        nets: Whose tensors it is given.
        compiled: Whether it is compiled.
        captured: Whether its kernels are recorded and replayed.
        then: What is captured with it, to be done with what it gives.
    """
    faster: Gradient = compile_step(function, nets) if compiled else function
    return Captured(faster, then) if captured else faster
