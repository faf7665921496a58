"""Points (x, y, r, g, b) taken from a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from data.glyph import LEVELS, Glyph, draw
from data.picture import luminance, read
from data.points import Points
from flows.core import Spec
from flows.errors import UserError
from flows.types import Fraction, PositiveInt, Seed
from flows.wording import one_line

SIDE = 300  # of the drawn picture, in pixels
THRESHOLD, NOISE = 0.5, 12.0

Where = Literal["opaque", "dark", "bright", "mask", "everywhere"]
Share = Annotated[float, Field(ge=0, le=1)]
Noise = Annotated[float, Field(ge=0.1, le=100)]  # between a single level and no gradient to see

HELP = {
    "opaque": "lower dataset.threshold, or say dataset.where=everywhere",
    "dark": "raise dataset.threshold, or say dataset.where=everywhere",
    "bright": "lower dataset.threshold, or say dataset.where=everywhere",
    "mask": "lower dataset.threshold, or give another dataset.mask",
    "everywhere": "give another picture",
}


def xyrgb(
    n: PositiveInt = 5_000,
    image: str | None = None,
    xs: str | None = None,
    ys: str | None = None,
    where: Where = "opaque",
    threshold: Share | None = None,
    mask: str | None = None,
    noise: Noise | None = None,
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    seed: Seed = 0,
) -> Points:
    """Pixels of a picture: where each is, and its colour. Without a picture, a π whose law is known.

    A pixel's x is its column / width, its y its height above the bottom row / height, so that a
    scatter plot stands upright; both lie in [0, 1). Colours are levels / 255. All five are lattices.

    Pixels are drawn uniformly and with replacement: so examples are independent, whatever the parts
    they fall into, and n may exceed the number of pixels.

    With `xs` and `ys` the points are listed instead. Point i has the colour at image[xs[i], ys[i]],
    where the first axis counts the upright picture's rows from the top, and x = xs[i] / width,
    y = ys[i] / height, so the picture lies on its side. In one that isn't square x or y may then
    pass 1: their support is (0, max(1, height / width)) and (0, max(1, width / height)), whole cells.
    All points are used; n is not.

    Args:
        n: Number of points drawn, which val and test take their shares of.
        image: Path of a picture, of any kind that `data.picture.read` lists; null draws the π.
        xs, ys: Paths of .npy files, an integer for each point; both or neither.
        where: Which pixels may be drawn. opaque: alpha at least threshold. dark: luminance below
            threshold; bright: at least threshold; both only where alpha is at least half. mask:
            where the mask is bright. everywhere: all.
        threshold: Of alpha or luminance (Rec. 601), from 0 to 1; None for 0.5.
        mask: Path of a second picture, as large, for where=mask.
        noise: Standard deviation of the drawn π's colours about their gradient, in levels; None for 12.
        val, test: Shares of the points.
        seed: Of draws and split.

    Raises: UserError if a file can't be read or is not what it should be, if no pixel may be drawn,
        or if arguments don't go together.

    >>> points = xyrgb(n=100)
    >>> points.spec.names, points.source("train").take(slice(None)).x.shape
    (('x', 'y', 'r', 'g', 'b'), torch.Size([70, 5]))
    """
    _check_together(image, xs, ys, where, mask, threshold, noise)
    if image is None:
        return _drawn(n, NOISE if noise is None else noise, val, test, seed)
    picture = read(image, "image")
    if xs is not None and ys is not None:
        cells, spec = _listed(picture, xs, ys)
    else:
        threshold = THRESHOLD if threshold is None else threshold
        admitted = np.flatnonzero(_admitted(picture, where, threshold, mask))
        if len(admitted) == 0:
            raise UserError(
                f"dataset.image={image}: no pixel to draw for where={where} at threshold={threshold}; "
                + HELP[where]
            )
        cells, spec = _sampled(picture, admitted, n, seed)
    return Points(torch.from_numpy(cells * np.array(spec.quantum)), spec, val, test, seed)


def _drawn(n: int, noise: float, val: float, test: float, seed: int) -> Points:
    """Draws from the π, whose law is known."""
    truth = Glyph(draw("π", SIDE), noise)
    x = truth.lattice(n, torch.Generator().manual_seed(seed))
    return Points(x, _spec((SIDE, SIDE), (SIDE, SIDE)), val, test, seed, truth=truth)


def _listed(picture: NDArray[np.uint8], xs: str, ys: str) -> tuple[NDArray[np.integer], Spec]:
    """The cells (N, 5) of the points that two files list."""
    height, width = picture.shape[:2]
    first, second = _indices(xs, "xs", height), _indices(ys, "ys", width)
    if len(first) != len(second):
        raise UserError(
            f"dataset.xs={xs} has {len(first)} points, but dataset.ys={ys} {len(second)}; "
            "give two files of one length"
        )
    cells = np.column_stack([first, second, picture[first, second, :3]])
    return cells, _spec((width, height), (max(width, height),) * 2)


def _sampled(
    picture: NDArray[np.uint8], admitted: NDArray[np.int64], n: int, seed: int
) -> tuple[NDArray[np.integer], Spec]:
    """The cells (n, 5) of pixels drawn from those admitted, which are counted row by row."""
    height, width = picture.shape[:2]
    draws = torch.randint(len(admitted), (n,), generator=torch.Generator().manual_seed(seed))
    row, column = np.divmod(admitted[draws.numpy()], width)
    cells = np.column_stack([column, height - 1 - row, picture[row, column, :3]])
    return cells, _spec((width, height), (width, height))


def _check_together(
    image: str | None,
    xs: str | None,
    ys: str | None,
    where: Where,
    mask: str | None,
    threshold: float | None,
    noise: float | None,
) -> None:
    paths = {"xs": xs, "ys": ys, "mask": mask}
    given = [f"dataset.{key}={path}" for key, path in paths.items() if path is not None]
    given += [f"dataset.where={where}"] if where != "opaque" else []
    given += [] if threshold is None else [f"dataset.threshold={threshold}"]
    if image is None and given:
        raise UserError(f"{given[0]} is for a picture, but there is none; give dataset.image=PATH")
    if image is not None and noise is not None:
        raise UserError(f"dataset.noise={noise} is for the drawn π, but there is a picture; drop either")
    if where == "everywhere" and threshold is not None:
        raise UserError(
            f"dataset.threshold={threshold} chooses pixels, but where={where} takes all; drop either"
        )
    if (xs is None) != (ys is None):
        missing = "xs" if xs is None else "ys"
        raise UserError(f"{given[0]} needs its other half; give dataset.{missing}=PATH too")
    if xs is not None and given[2:]:
        raise UserError(f"{given[2]} chooses pixels, but dataset.xs and dataset.ys list them; drop either")
    if mask is not None and where != "mask":
        raise UserError(f"dataset.mask={mask} is for dataset.where=mask, but where={where}; change either")
    if where == "mask" and mask is None:
        raise UserError("dataset.where=mask needs a mask; give dataset.mask=PATH, a picture as large")


def _spec(per_unit: tuple[int, int], cells: tuple[int, int]) -> Spec:
    """Of points whose x and y have so many cells in a unit, and so many in all."""
    steps = [*per_unit, *[LEVELS - 1] * 3]
    counts = [*cells, *[LEVELS] * 3]
    return Spec(
        names=("x", "y", "r", "g", "b"),
        shape=(5,),
        support=tuple((0.0, count / step) for count, step in zip(counts, steps, strict=True)),
        quantum=tuple(1 / step for step in steps),
    )


def _admitted(
    picture: NDArray[np.uint8], where: Where, threshold: float, mask: str | None
) -> NDArray[np.bool_]:
    """Which pixels (height, width) may be drawn."""
    if where == "opaque":
        return picture[..., 3] >= 255 * threshold
    if where == "dark":
        return _visible(picture) & (luminance(picture) < threshold)
    if where == "bright":
        return _visible(picture) & (luminance(picture) >= threshold)
    if mask is None:
        return np.ones(picture.shape[:2], bool)
    shade = read(mask, "mask")
    if shade.shape != picture.shape:
        (height, width), (high, wide) = picture.shape[:2], shade.shape[:2]
        raise UserError(
            f"dataset.mask={mask}: {wide} x {high} pixels, but the picture has {width} x {height}; "
            "give a mask as large"
        )
    return _visible(shade) & (luminance(shade) >= threshold)


def _visible(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return picture[..., 3] >= LEVELS // 2


def _indices(path: str, key: str, size: int) -> NDArray[np.int64]:
    """Places along an axis of `size` pixels, one for each point."""
    here = f"dataset.{key}={path}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of files that Python 2 wrote
            # mapped: no pickle, and no header asks for more memory than the file has bytes
            places = np.lib.format.open_memmap(Path(path).expanduser(), mode="r")
    except FileNotFoundError:
        raise UserError(f"{here}: no such file") from None
    except Exception as error:  # what NumPy makes of broken bytes can be anything
        why = one_line(error) or type(error).__name__
        raise UserError(f"{here}: not an array that numpy.save wrote: {why}") from None
    if places.dtype.kind not in "iu" or places.ndim != 1:
        raise UserError(f"{here}: {places.dtype} of shape {places.shape}, but whole numbers (N,) are needed")
    if len(places) == 0:
        raise UserError(f"{here}: no points; give at least one")
    low, high = int(places.min()), int(places.max())
    if low < 0 or high >= size:
        raise UserError(f"{here}: from {low} to {high}, but the picture's axis goes from 0 to {size - 1}")
    return np.array(places, np.int64)
