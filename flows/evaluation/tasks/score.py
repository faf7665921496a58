"""Say how likely each row of a table is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from flows.core import Batch
from flows.errors import UserError
from flows.evaluation.blocks import examples, log_prob, place
from flows.evaluation.runs import find, open_run
from flows.evaluation.tasks.files import ending, ready, warn, write
from flows.types import Seed
from flows.wording import nearest

if TYPE_CHECKING:
    import pandas as pd

NEW = ("log_prob", "log_prob_quantile")
POINTS = 100_000  # most validation examples that a row is compared with


def score(
    input: str,
    output: str,
    run: str = "latest",
    checkpoint: Literal["best", "last"] = "best",
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Add `log_prob` and `log_prob_quantile` to each row of a CSV table, whose own columns stay as they are.

    log_prob is in nats, in the data's units. The quantile is the share of validation examples that are no
    likelier: 0.001 means that one in a thousand is as odd as this row.

    Args:
        input: The table; needs the columns the model was trained on, and those of its context.
        output: The file, ending in .csv.
        run: The run's directory, or `latest`.
        checkpoint: Which weights.
        seed: Of the validation examples, where a dataset has none and they are drawn.
        trusted_packages: Packages of the user's own that the run's configuration may name.

    Raises: UserError.
    """
    path = Path(output)
    ending(path, (".csv",))
    opened = open_run(find(run), checkpoint, trusted_packages)
    spec = opened.saved.spec
    if len(spec.shape) != 1:
        raise UserError(f"task=score reads tables; this run's examples have shape {spec.shape}")
    table = _read(Path(input), [*spec.names, *spec.context_names])
    _, dtype = place(opened.density)
    x = _numbers(table, spec.names, input, dtype)
    context = _numbers(table, spec.context_names, input, dtype) if spec.context_names else None
    ready(path.parent)
    scores = log_prob(opened.density, Batch(x, context))

    generator = torch.Generator().manual_seed(seed)
    usual = log_prob(opened.density, examples(opened.dataset, "val", POINTS, generator)).sort().values
    rank = torch.searchsorted(usual, scores, right=True) / len(usual)
    table["log_prob"] = scores.numpy()
    table["log_prob_quantile"] = rank.where(~scores.isnan(), float("nan")).numpy()
    warn(opened.warnings)
    if bool(scores.isnan().any()):
        warn([f"{int(scores.isnan().sum())} rows of {input} are so far out that the model gives no number"])
    write(path, table.to_csv(index=False))
    print(f"{len(table):,} rows scored: {path}")


def _read(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """The table, every cell as it is written."""
    import pandas as pd

    try:
        # the header as a row like others: pandas would rename doubles and take surplus cells for an index
        cells = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"input={path}: no such file") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: empty; expected a header with {', '.join(needed)}, and rows") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from None
    names = list(cells.iloc[0])
    missing = [name for name in needed if name not in names]
    if missing:
        meant = nearest(missing[0], names)
        hint = f"; is {missing[0]} called {meant} there?" if meant else ""
        raise UserError(f"{path}: lacks {len(missing)} of {len(needed)} columns: {', '.join(missing)}{hint}")
    doubled = [name for name in needed if names.count(name) > 1]
    if doubled:
        raise UserError(f"{path}: has {names.count(doubled[0])} columns called {doubled[0]}; keep one")
    taken = [name for name in NEW if name in names]
    if taken:
        raise UserError(f"{path}: has a column {taken[0]} already; rename it, or give the unscored table")
    if len(cells) == 1:
        raise UserError(f"{path}: a header without rows")
    return cells.iloc[1:].reset_index(drop=True).fillna("").set_axis(names, axis="columns")


def _numbers(table: pd.DataFrame, names: Sequence[str], path: str, dtype: torch.dtype) -> Tensor:
    """These columns as finite numbers (N, D)."""
    import pandas as pd

    columns = []
    for name in names:
        numbers = pd.Series(pd.to_numeric(table[name], errors="coerce"), dtype=float)
        values = torch.tensor(numbers.to_numpy())
        bad = (~values.to(dtype).isfinite()).nonzero()[:, 0]
        if len(bad):
            row = int(bad[0])
            cell = table[name].iloc[row]
            raise UserError(
                f"{path}: column {name}, row {row + 1}: {cell!r} is no finite number"
                f" ({len(bad)} of {len(table)} rows have none there)"
            )
        columns.append(values)
    return torch.stack(columns, dim=1)
