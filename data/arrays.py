"""Your own fields, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from data.cases import Cases
from data.grid import check_continuous
from data.observed import Missing, Observed, split, whole
from data.steps import ArraySteps
from flows.errors import UserError
from flows.types import Block, Fraction, NonNegativeInt, PositiveInt
from flows.wording import choose


def arrays(
    path: str,
    target: str = "target",
    context: str | None = "context",
    names: Sequence[str] | None = None,
    context_names: Sequence[str] | None = None,
    coarsen: Block | None = None,
    patch: PositiveInt | None = None,
    missing: Missing = "refuse",
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    gap: NonNegativeInt = 0,
) -> Observed:
    """Arrays of an NPZ file: fields (N, C, H, W), or (N, H, W) of one channel, in order of time.

    Training takes the first cases, then come validation and test.

    Args:
        path: The file.
        target: The array that is modelled.
        context: The array that is given, on the same grid; None for none.
        names: Of the target's channels; None for x0, x1, …
        context_names: Of the context's; None for c0, c1, …
        coarsen: Makes the context of the target's own block means, before any other; None for none.
        patch: Side, in cells, of the windows that fields are cut into; None for whole fields.
        missing: What becomes of cases with missing or infinite cells; `data.netcdf` says more.
        val, test: Shares of the cases for validation and for the test.
        gap: Cases left out between parts.

    Raises: UserError if there is no such array, shapes don't fit, or a part is empty.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", target=np.zeros((10, 4, 6)), context=np.ones((10, 2, 4, 6)))
    ...     spec = arrays(f"{folder}/a.npz").spec
    >>> spec.names, spec.shape, spec.context_names
    (('x0',), (1, 4, 6), ('c0', 'c1'))
    """
    file = Path(path).expanduser()
    if context == target:
        raise UserError(f"dataset.context={context}: is the target too, which it would give away")
    found = _read(file, [target, *([] if context is None else [context])])
    x = _fields(found, target, "target", file)
    given = (
        np.zeros((len(x), 0, *x.shape[2:])) if context is None else _fields(found, context, "context", file)
    )
    for axis, name in ((0, "cases"), (2, "rows"), (3, "columns")):
        if given.shape[axis] != x.shape[axis]:
            raise UserError(f"{file}: {context} has {given.shape[axis]} {name}, but {target} {x.shape[axis]}")
    size = (x.shape[2], x.shape[3])
    channels = _named(names, x.shape[1], "x", "names")
    coarse = [f"coarse_{name}" for name in channels if coarsen is not None]
    given_names = [*coarse, *_named(context_names, given.shape[1], "c", "context_names")]
    cases = Cases(ArraySteps(x, given), size, coarsen, patch)
    seen = whole(cases, [*channels, *given_names], missing, lambda step: f"case {step}")
    parts = split(len(x), val, test, gap)
    return Observed(cases, channels, given_names, seen, parts)


def _read(file: Path, names: Sequence[str]) -> dict[str, np.ndarray | None]:
    """The arrays of these names, None for others that are there."""
    try:
        # opened here, for numpy leaves a file open that is no archive
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as loaded:
            return {name: loaded[name] if name in names else None for name in loaded}
    except FileNotFoundError:
        raise UserError(f"dataset.path={file}: no such file") from None
    except (OSError, EOFError, ValueError, TypeError, AttributeError, BadZipFile):
        raise UserError(f"dataset.path={file}: is no NPZ file of plain arrays") from None


def _fields(found: Mapping[str, np.ndarray | None], name: str, key: str, file: Path) -> np.ndarray:
    array = found.get(name)
    if array is None:
        none = "; dataset.context=null for none" if key == "context" else ""
        raise UserError(f"dataset.{key}: {file} has no array {name}; {choose(name, found, 'arrays')}{none}")
    shape = array.shape
    if array.dtype.kind not in "fiub":
        raise UserError(f"dataset.{key}: {name} holds {array.dtype}, no numbers")
    if key == "target":
        check_continuous(name, array.dtype)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape:
        raise UserError(f"dataset.{key}: {name} has shape {shape}; expected (cases, channels, rows, columns)")
    return array


def _named(names: Sequence[str] | None, channels: int, letter: str, key: str) -> list[str]:
    if names is None:
        return [f"{letter}{k}" for k in range(channels)]
    if len(names) != channels or len({*names}) != channels:
        raise UserError(f"dataset.{key}={list(names)}: {channels} channels need as many names, each its own")
    return [*names]
