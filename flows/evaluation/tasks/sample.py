"""Draw from a run's model."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from flows.core import Spec
from flows.errors import UserError
from flows.evaluation.blocks import examples, place, samples
from flows.evaluation.cells import content
from flows.evaluation.ensembles import draw
from flows.evaluation.members import encoded
from flows.evaluation.runs import Opened, find, open_run
from flows.evaluation.tables import frame
from flows.evaluation.tasks.context import typed_context
from flows.evaluation.tasks.files import ending, ready, warn, write
from flows.lattice import quantise
from flows.signals import stop_if_asked
from flows.training.thinned import evenly
from flows.types import PositiveInt, Seed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

POOL = 100_000  # most test contexts that are drawn from
MOST = 2**28  # numbers in one NetCDF file


def sample(
    output: str,
    n: PositiveInt = 1000,
    context: list[float] | None = None,
    raw: bool = False,
    cases: PositiveInt | None = None,
    run: str = "latest",
    checkpoint: Literal["best", "last"] = "best",
    data: Mapping[str, str] | None = None,
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Write n draws in data units, one a row, with column names: `.csv`, `.parquet`, `.npy` (structured).

    Columns are of the types the data had: integers, true/false, names of levels. A model with context
    draws under contexts of random test examples, or all under the one given; the contexts stand beside the
    draws. Draws that are no vectors go to a plain `.npy` of (n, *shape).

    Fields go to NetCDF, `.nc`: n members for each test case, with the coordinates and the attributes that the
    data has.

    Args:
        output: The file.
        n: How many.
        context: One value for each of the context's names.
        cases: Of NetCDF, how many test cases, evenly spread; None for all.
        raw: On a lattice, write the points that the model draws, in floats, instead of their cells' corners.
        run: The run's directory, or `latest`.
        checkpoint: Which weights.
        data: Where files of its dataset lie now, by their keys.
        seed: Of the draws: equal seeds give equal files.
        trusted_packages: Packages of the user's own that the run's configuration may name.

    Raises: UserError.
    """
    path = Path(output)
    kind = ending(path, (".csv", ".npy", ".parquet", ".nc"))
    opened = open_run(find(run), checkpoint, trusted_packages, data)
    spec = opened.saved.spec
    if kind == ".nc":
        if context is not None or raw:
            given = "context" if context is not None else "raw"
            raise UserError(f"{given}: means nothing to NetCDF, whose members are drawn for the test cases")
        _members(path, opened, n, cases, seed)
        return
    if cases is not None:
        raise UserError(f"cases={cases}: is for NetCDF; give n, or an output that ends in .nc")
    if kind != ".npy" and len(spec.shape) != 1:
        raise UserError(
            f"output={path}: draws of shape {spec.shape} are no table; give a name that ends in .nc or .npy"
        )
    generator = torch.Generator().manual_seed(seed)
    contexts = None
    if context is not None or spec.context_shape is None:
        one = typed_context(context, spec)
        contexts = None if one is None else one.expand(n, -1)
    else:
        pool = examples(opened.dataset, "test", POOL, generator).context
        if pool is None:
            raise UserError("the dataset gives no contexts to draw under; give context=[…]")
        contexts = pool[torch.randint(len(pool), (n,), generator=generator)]
    ready(path.parent)
    warn(opened.warnings)
    _, dtype = place(opened.density)  # more digits than the model has would only be noise
    drawn = samples(opened.density, n, contexts, generator, size=math.prod(spec.shape))
    if raw:
        spec = spec._replace(dtypes=None, levels=None)
    else:
        drawn = quantise(drawn, spec)
    written = _table(drawn.to(dtype), None if contexts is None else contexts.to(dtype), spec, kind)
    stop_if_asked()  # for the last time
    write(path, written)
    print(f"{n:,} samples: {path}")


def _members(path: Path, opened: Opened, n: int, cases: int | None, seed: int) -> None:
    """Write n members for each of the test cases."""
    spec = opened.saved.spec
    if len(spec.shape) != 3:
        raise UserError(
            f"output={path}: draws of shape {spec.shape} are no fields; give .csv, .parquet or .npy"
        )
    source = opened.dataset.source("test")
    if source is None:
        raise UserError("the dataset has no test cases to draw for")
    places = evenly(len(source), cases or len(source))
    numbers = n * len(places) * math.prod(spec.shape)
    if numbers > MOST:
        raise UserError(
            f"n={n} members of {len(places)} cases are {numbers:.1e} numbers, more than {MOST:.1e}; "
            f"give cases={max(1, MOST // (n * math.prod(spec.shape)))} or fewer members"
        )
    ready(path.parent)
    warn(opened.warnings)
    generator = torch.Generator().manual_seed(seed)
    context = source.take(places).context
    drawn = draw(opened.density, spec, context, len(places), n, generator).transpose(0, 1)
    layout = opened.dataset.layout("test")
    if layout is not None:
        layout = layout.isel({layout[spec.names[0]].dims[0]: places.numpy()})
    written = encoded(drawn.to(place(opened.density)[1]), spec, layout)
    stop_if_asked()  # for the last time
    write(path, written)
    print(f"{n:,} members of {len(places):,} test cases: {path}")


def _table(x: Tensor, context: Tensor | None, spec: Spec, kind: str) -> bytes:
    if len(spec.shape) != 1:
        return _npy(x.numpy())
    table = frame(x, context, spec)
    return _npy(_structured(table)) if kind == ".npy" else content(table, kind)


def _structured(table: pd.DataFrame) -> np.ndarray:
    """One field a column; text of fixed width, since an array of objects would be pickled."""
    import numpy as np

    columns = {str(name): _plain(column) for name, column in table.items()}
    array = np.empty(len(table), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        array[name] = column
    return array


def _plain(column: pd.Series) -> np.ndarray:
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column.dtype):
        return column.to_numpy()
    return column.astype("str").fillna("").to_numpy(dtype=str)


def _npy(array: np.ndarray) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that names not in Latin need a newer reader
        np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
