"""A model in a table: its layers, what leaves them, how many parameters they have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from flows.core import Batch, Density


def describe(model: nn.Module, batch: Batch) -> str:
    """One line for each part that a batch passes through: name, kind, output shape, parameters."""
    rows: list[tuple[str, str, str, str]] = []
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        first = output if isinstance(output, Tensor) else output[0]
        count = sum(p.numel() for p in module.parameters())
        rows.append((names[module], type(module).__name__, str(tuple(first.shape)), f"{count:,}"))

    ours = [m for m in names if names[m] and not type(m).__module__.startswith("torch.")]
    hooks = [module.register_forward_hook(note) for module in ours]
    try:
        with torch.no_grad():
            if isinstance(model, Density):
                model.log_prob(batch.x, batch.context)
    finally:
        for hook in hooks:
            hook.remove()
    head = ("layer", "kind", "output", "parameters")
    sizes = [max(len(row[k]) for row in [head, *rows]) for k in range(4)]
    lines = [
        "  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)) for row in [head, *rows]
    ]
    shapes = f"x {tuple(batch.x.shape)}" + (
        "" if batch.context is None else f", context {tuple(batch.context.shape)}"
    )
    total = sum(p.numel() for p in model.parameters())
    return "\n".join([f"batch: {shapes}", *(line.rstrip() for line in lines), f"parameters: {total:,}"])
