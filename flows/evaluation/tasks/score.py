"""Say how likely each row of a table is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from flows.core import Batch, Density, Spec
from flows.errors import UserError
from flows.evaluation.blocks import examples, log_prob, place
from flows.evaluation.cells import KINDS, content
from flows.evaluation.runs import find, open_run
from flows.evaluation.tables import Rows, read
from flows.evaluation.tasks.files import alike, ending, ready, warn, write
from flows.lattice import dequantise, quantise, within
from flows.signals import stop_if_asked
from flows.types import Seed

NEW = ("log_prob", "log_prob_quantile")
POINTS = 100_000  # most validation examples that a row is compared with
SPREAD = 16  # points of a cell that are scored


def score(
    input: str,
    output: str,
    run: str = "latest",
    checkpoint: Literal["best", "last"] = "best",
    data: Mapping[str, str] | None = None,
    missing: Literal["refuse", "leave"] = "refuse",
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Add `log_prob` and `log_prob_quantile` to each row of a table, whose own columns stay as they are.

    log_prob is in nats, in the data's units; beyond the data's support it is -inf. On a lattice a row is a
    cell, and its log_prob that of the mean density at 16 random points of it: still a density, and in
    expectation a lower bound on that of the whole cell. The quantile is the share of validation examples
    that are no likelier: 0.001 means that one in a thousand is as odd as this row.

    Args:
        input: The table, CSV or Parquet; needs the columns the model was trained on, and its context's.
        output: The file, of the same kind.
        run: The run's directory, or `latest`.
        checkpoint: Which weights.
        data: Where files of its dataset lie now, by their keys.
        missing: What becomes of rows with an empty cell in those columns; `leave` gives them no score.
        seed: Of the points in cells, and of the validation examples where a dataset has none.
        trusted_packages: Packages of the user's own that the run's configuration may name.

    Raises: UserError.
    References: Burda et al. 2016, Importance weighted autoencoders, arXiv:1509.00519, for the bound.
    """
    path = Path(output)
    kind = ending(path, alike(Path(input), KINDS))
    opened = open_run(find(run), checkpoint, trusted_packages, data)
    spec = opened.saved.spec
    if len(spec.shape) != 1:
        raise UserError(f"task=score reads tables; this run's examples have shape {spec.shape}")
    if not isinstance(opened.density, Density):
        raise UserError("task=score needs a model with a density; this run's can only be drawn from")
    rows = read(Path(input), spec, place(opened.density)[1], NEW, gaps="all")
    whole = _whole(rows, input, missing)
    generator = torch.Generator().manual_seed(seed)
    validation = examples(opened.dataset, "val", POINTS, generator)
    ready(path.parent)
    usual = _scores(opened.density, validation, spec, generator)
    context = None if rows.context is None else rows.context[whole]
    scores = torch.full((len(whole),), torch.nan, dtype=torch.float64)
    scores[whole] = _scores(opened.density, Batch(rows.x[whole], context), spec, generator)
    rank = torch.searchsorted(usual.sort().values, scores, right=True) / len(usual)
    table = rows.table
    table["log_prob"] = scores.numpy()
    table["log_prob_quantile"] = rank.where(~scores.isnan(), float("nan")).numpy()
    warn(opened.warnings)
    lost = int((scores.isnan() & whole).sum())
    if lost:
        warn([f"{lost} rows of {input} are so far out that the model gives no number"])
    written = content(table, kind)
    stop_if_asked()  # for the last time
    write(path, written)
    left = f", {int((~whole).sum()):,} with empty cells left" if not bool(whole.all()) else ""
    print(f"{int(whole.sum()):,} rows scored{left}: {path}")


def _whole(rows: Rows, path: str, missing: str) -> Tensor:
    """Which rows have no empty cell, bool (N,)."""
    empty = torch.stack([*rows.empty.values()]).any(0)
    if missing == "refuse" and bool(empty.any()):
        row = int(empty.nonzero()[0])
        name = next(name for name, holes in rows.empty.items() if holes[row])
        raise UserError(
            f"{path}: column {name}, row {row + 1}: empty ({int(empty.sum())} of {len(empty)} rows have empty"
            " cells); fill it, or missing=leave leaves such rows without a score"
        )
    if bool(empty.all()):
        raise UserError(f"{path}: every row has an empty cell; nothing to score")
    return ~empty


def _scores(density: Density, batch: Batch, spec: Spec, generator: torch.Generator) -> Tensor:
    """Log-density of each example (N,), on a lattice of its cell."""
    if spec.quantum is None:
        return log_prob(density, batch)
    corner = quantise(batch.x, spec)
    points = [batch._replace(x=dequantise(corner, spec, generator)) for _ in range(SPREAD)]
    scores = torch.stack([log_prob(density, each) for each in points]).logsumexp(0) - math.log(SPREAD)
    return scores.where(within(batch.x, spec), -math.inf)
