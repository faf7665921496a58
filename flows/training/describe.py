"""A model in a table: its layers, what leaves them, how many parameters they have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from flows.core import Batch, Density


def describe(model: nn.Module, batch: Batch) -> str:
    """One line for each part that a batch passes through, indented below the part that calls it."""
    rows = [["layer", "kind", "output", "parameters"]]
    names = {module: name for name, module in model.named_modules()}
    callers: list[tuple[str, list[str]]] = [("", [])]

    def enter(module: nn.Module, _: Any) -> None:
        name, caller = names[module], callers[-1][0]
        short = "  " * (len(callers) - 1) + name.removeprefix(f"{caller}.")
        row = [short, type(module).__name__, "", f"{_parameters(module):,}"]
        rows.append(row)
        callers.append((name, row))

    def leave(_: nn.Module, __: Any, output: Any) -> None:
        first = output if isinstance(output, Tensor) else output[0]
        callers.pop()[1][2] = str(tuple(first.shape))

    ours = [m for m in names if names[m] and not type(m).__module__.startswith("torch.")]
    hooks = [module.register_forward_pre_hook(enter) for module in ours]
    hooks += [module.register_forward_hook(leave) for module in ours]
    try:
        with torch.no_grad():
            if isinstance(model, Density):
                model.log_prob(batch.x, batch.context)
    finally:
        for hook in hooks:
            hook.remove()
    context = "" if batch.context is None else f", context {tuple(batch.context.shape)}"
    total = f"parameters: {_parameters(model):,}"
    return "\n".join([f"batch: x {tuple(batch.x.shape)}{context}", *_aligned(rows), total])


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns of one width each, the last one of numbers to the right."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                *(cell.ljust(size) for cell, size in zip(row, sizes[:-1], strict=False)),
                row[-1].rjust(sizes[-1]),
            ]
        )
        for row in rows
    ]
