"""Compiling a step: when it pays, and what to say when it can't be done."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType
from typing import Any

import torch
from torch import nn

from flows.errors import UserError
from flows.wording import one_line

ENOUGH = 30_000
"""Steps that repay the compiling of one: a fixed number, so that a command gives the same run everywhere."""


def has_compiler(device: torch.device) -> bool:
    """Whether torch could compile here: for the CPU it calls a C++ compiler."""
    return device.type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None


def convolve(nets: Mapping[str, nn.Module]) -> bool:
    """Whether nets hold convolutions: compiling those takes minutes, and whether that pays isn't known."""
    return any(isinstance(module, nn.Conv2d) for net in nets.values() for module in net.modules())


def compile_step(function: Callable[..., Any], nets: Mapping[str, nn.Module]) -> Callable[..., Any]:
    """A pure function of tensors that keep their shapes, compiled whole at its first call.

    Nothing but the tensors is looked at again in later calls: what else the function depends on must stay.

    Args:
        function: To be compiled.
        nets: Whose tensors it is given.

    Raises: UserError at that call if it can't be.
    """
    print("compiling a step, once: takes up to a minute", file=sys.stderr, flush=True)
    compiled = torch.compile(_apart(function), fullgraph=True, dynamic=False, options=_options(nets))

    @wraps(function)
    def call(*given: Any) -> Any:
        try:
            return compiled(*given)
        except Exception as error:
            from torch._dynamo.exc import TorchDynamoException  # heavy; compiling has loaded it anyhow

            if not isinstance(error, TorchDynamoException):
                raise
            reason = one_line(str(error).split("\n\n")[0])
            raise UserError(
                f"runtime.compile: this step can't be compiled ({reason}); use runtime.compile=false"
            ) from error

    return call


def _apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with a code object of its own.

    torch caches compiled code by code object. With tensor guards alone, one run could be handed another's, so
    each run gets a code object of its own.
    """

    def call(*given: Any) -> Any:
        return function(*given)

    return FunctionType(call.__code__.replace(), globals(), closure=call.__closure__)


def _options(nets: Mapping[str, nn.Module]) -> dict[str, Any]:
    on_cpu = all(p.device.type == "cpu" for net in nets.values() for p in net.parameters())
    return {
        "guard_filter_fn": torch.compiler.keep_tensor_guards_unsafe,  # the others cost a tenth of a step
        # kernels called from C++ save a fifth of a small step; with convolutions that crashes (torch 2.13)
        "cpp_wrapper": on_cpu and not convolve(nets),
    }
