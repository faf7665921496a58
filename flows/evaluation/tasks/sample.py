"""Draw from a run's model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from flows.core import Spec
from flows.errors import UserError
from flows.evaluation.blocks import examples, place, samples
from flows.evaluation.runs import find, open_run
from flows.evaluation.tasks.files import ending, ready, warn, write
from flows.types import PositiveInt, Seed

POOL = 100_000  # most test contexts that are drawn from


def sample(
    output: str,
    n: PositiveInt = 1000,
    context: list[float] | None = None,
    run: str = "latest",
    checkpoint: Literal["best", "last"] = "best",
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Write n draws in data units, one a row, with column names: `.csv`, or `.npy` as a structured array.

    A model with context draws under contexts of random test examples, or all under the one given; the
    contexts stand beside the draws. Draws that are no vectors go to a plain `.npy` of (n, *shape).

    Args:
        output: The file.
        n: How many.
        context: One value for each of the context's names.
        run: The run's directory, or `latest`.
        checkpoint: Which weights.
        seed: Of the draws: equal seeds give equal files.
        trusted_packages: Packages of the user's own that the run's configuration may name.

    Raises: UserError.
    """
    path = Path(output)
    kind = ending(path, (".csv", ".npy"))
    opened = open_run(find(run), checkpoint, trusted_packages)
    spec = opened.saved.spec
    if kind == ".csv" and len(spec.shape) != 1:
        raise UserError(
            f"output={path}: draws of shape {spec.shape} are no table; give a name that ends in .npy"
        )
    generator = torch.Generator().manual_seed(seed)
    contexts = None
    if spec.context_shape is None:
        if context is not None:
            raise UserError(f"context={context}: this run's model takes no context")
    elif context is not None:
        contexts = _given(context, spec).expand(n, *spec.context_shape)
    else:
        pool = examples(opened.dataset, "test", POOL, generator).context
        if pool is None:
            raise UserError("the dataset gives no contexts to draw under; give context=[…]")
        contexts = pool[torch.randint(len(pool), (n,), generator=generator)]
    ready(path.parent)
    warn(opened.warnings)
    _, dtype = place(opened.density)  # more digits than the model has would only be noise
    drawn = samples(opened.density, n, contexts, generator).to(dtype)
    write(path, _encoded(drawn, None if contexts is None else contexts.to(dtype), spec, kind))
    print(f"{n:,} samples: {path}")


def _given(context: Sequence[float], spec: Spec) -> Tensor:
    if spec.context_shape != (len(context),):
        names = ", ".join(spec.context_names)
        raise UserError(f"context={list(context)}: {len(context)} values; this run's contexts are [{names}]")
    return torch.tensor(context, dtype=torch.float64)


def _encoded(x: Tensor, context: Tensor | None, spec: Spec, kind: str) -> bytes:
    import numpy as np
    import pandas as pd

    buffer = io.BytesIO()
    if len(spec.shape) != 1:
        np.save(buffer, x.numpy())
        return buffer.getvalue()
    columns = x if context is None else torch.cat((x, context), dim=1)
    table = pd.DataFrame(columns.numpy(), columns=[*spec.names, *spec.context_names])
    if kind == ".csv":
        table.to_csv(buffer, index=False)
    else:
        np.save(buffer, np.asarray(table.to_records(index=False)))
    return buffer.getvalue()
