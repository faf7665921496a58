"""Compiling a step: when it pays, and what to say when it can't be done."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from flows.errors import UserError

ENOUGH = 30_000
"""Steps that repay the compiling of one: a fixed number, so that a command gives the same run everywhere."""


def has_compiler(device: torch.device) -> bool:
    """Whether torch could compile here: for the CPU it calls a C++ compiler."""
    return device.type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None


def compile_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function of tensors, compiled whole at its first call.

    Raises: UserError at that call if it can't be.
    """
    print("compiling a step, once: takes up to a minute", file=sys.stderr, flush=True)
    compiled = torch.compile(function, fullgraph=True)

    @wraps(function)
    def call(*given: Any) -> Any:
        try:
            return compiled(*given)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).split("\n\n")[0].split())
            raise UserError(
                f"runtime.compile: this step can't be compiled ({reason}); use runtime.compile=false"
            ) from error

    return call
