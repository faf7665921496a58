"""Where a run computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import nn

from flows.errors import UserError
from flows.training.compiling import ENOUGH, convolve, has_compiler

Threads = Annotated[int, Field(ge=1, le=1024)]
_CHOICE = torch.get_num_threads()  # torch's own, before any run changes it


@final
class Runtime:
    """Device, precision and threads.

    Args:
        device: "cuda" if there is one ("auto"), or as named.
        dtype: Precision of data and weights.
        threads: CPU threads of one operation; small nets are fastest with one. null for torch's choice.
        compile: Whether a step's gradient is compiled; "auto" where a run has steps enough to repay it, but
            not for convolutions, in a batch, or where a budget in seconds or patience may end it early.
        capture: On a GPU: whether a turn (gradient, clipping, optimizer, average) is recorded once as one
            graph, which the host then starts by one call; False for models, objectives and optimizers that
            look at tensors' values.

    Raises: UserError if CUDA, or compiling, is asked for and can't be had.
    """

    def __init__(
        self,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        dtype: Literal["float32", "float64"] = "float32",
        threads: Threads | None = 1,
        compile: Literal["auto"] | bool = "auto",
        capture: bool = True,
    ) -> None:
        found = torch.cuda.is_available()
        if device == "cuda" and not found:
            raise UserError("runtime.device=cuda: no CUDA device is visible; use runtime=auto or runtime=cpu")
        self.device = torch.device("cuda" if found and device != "cpu" else "cpu")
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.threads = threads
        self.compile = compile
        self.captures = capture and self.device.type == "cuda"
        if compile is True and not has_compiler(self.device):
            raise UserError("runtime.compile=true: no C++ compiler (g++) is found; install one, or use auto")

    def compiles(self, steps: int, nets: Mapping[str, nn.Module]) -> bool:
        """Whether this many steps of these nets are to be compiled ones."""
        if isinstance(self.compile, bool):
            return self.compile
        return steps >= ENOUGH and not convolve(nets) and has_compiler(self.device)

    def enter(self) -> None:
        """Apply what is global to the process, whatever an earlier run has set there."""
        torch.set_num_threads(self.threads or _CHOICE)
