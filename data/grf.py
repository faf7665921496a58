"""Gaussian random fields given what a coarse instrument saw of them: the conditional law is known exactly."""

from __future__ import annotations

from functools import partial
from typing import Annotated, get_args

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from data.drawn import Drawn
from data.fields import Fields
from data.gaussian_field import GaussianField, Matern
from flows.core import Batch, Part, Spec
from flows.errors import UserError
from flows.types import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Channels = Annotated[int, Field(ge=1, le=3)]
Skew = Annotated[float, Field(ge=-2, le=2)]


def grf(
    height: PositiveInt = 32,
    width: PositiveInt = 32,
    channels: Channels = 1,
    correlation: Fraction = 0.0,
    smoothness: PositiveFloat = 1.0,
    length: PositiveFloat = 4.0,
    nugget: Annotated[float, Field(gt=0, le=1)] = 0.01,
    block: PositiveInt = 4,
    noise: PositiveFloat = 0.1,
    warp: Skew = 0.0,
    relief: NonNegativeFloat = 0.0,
    n_train: PositiveInt = 4096,
    n_val: PositiveInt = 256,
    n_test: PositiveInt = 512,
    fresh: bool = True,
    seed: NonNegativeInt = 0,
) -> Fields:
    """Periodic Gaussian fields of unit variance; their block means, measured with noise, are the context.

    Args:
        height, width: Of the grid, in cells.
        channels: Fields of one example.
        correlation: Between any two channels.
        smoothness: ν of the Matérn-like power (1 + (kℓ)²)^-(ν+1).
        length: ℓ, in cells.
        nugget: Share of the variance that is white noise.
        block: Side of the blocks whose means the instrument sees, in cells; it divides height and width.
        noise: Standard deviation of the instrument's error.
        warp: Skew of a monotone map of each cell, x = sinh(asinh(g) + warp); 0 leaves the law Gaussian.
        relief: How much lower the field is, on average, where a fixed height is one higher; if not 0 the
            height and its land mask (height above 0) are part of the context.
        n_train: Examples in an epoch.
        n_val, n_test: Examples of the other parts.
        fresh: Whether training meets new examples all the time, or those of one epoch again and again.
        seed: Of the height and of all examples.

    Raises: UserError if blocks don't fill the grid.

    >>> fields = grf(n_train=4)
    >>> [tensor.shape for tensor in fields.source("train").take(slice(None))]
    [torch.Size([4, 1, 32, 32]), torch.Size([4, 1, 32, 32])]
    """
    for key, side in (("height", height), ("width", width)):
        if side % block:
            raise UserError(f"dataset.block={block} has to divide dataset.{key}={side}")
    matern = Matern(smoothness, length, nugget)
    static = _static(matern, (height, width), seed) if relief else None
    truth = GaussianField(
        matern,
        (height, width),
        channels,
        correlation,
        block,
        noise,
        warp,
        None if static is None else -relief * static[0],
        static,
    )
    sizes = dict(zip(get_args(Part), (n_train, n_val, n_test), strict=True))
    draw = partial(_joint, truth)
    parts: dict[Part, Drawn] = {
        part: Drawn(draw, size, int(np.random.SeedSequence([seed, place]).generate_state(1)[0]))
        for place, (part, size) in enumerate(sizes.items())
    }
    return Fields(parts, _spec(truth), truth, fresh)


def _joint(truth: GaussianField, generators: list[torch.Generator]) -> Batch:
    """One field and its context for each generator."""
    fields, seen = (truth.channels, *truth.size), truth.seen.shape
    white = [torch.randn(fields, generator=each, dtype=torch.float64) for each in generators]
    error = [torch.randn(seen, generator=each, dtype=torch.float64) for each in generators]
    return truth.joint(torch.stack(white), torch.stack(error))


def _static(matern: Matern, size: tuple[int, int], seed: int) -> Tensor:
    """A height, smoother than the fields, and where it is land (2, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    smooth = matern._replace(smoothness=matern.smoothness + 1, nugget=0.0)
    white = torch.randn(size, generator=generator, dtype=torch.float64)
    height = torch.fft.ifft2(torch.fft.fft2(white) * smooth.power(*size).sqrt()).real
    return torch.stack((height, (height > 0).double()))


def _spec(truth: GaussianField) -> Spec:
    names = tuple(f"x{channel}" for channel in range(truth.channels))
    static = () if truth.static is None else ("height", "land")
    context = (*(f"seen_{name}" for name in names), *static)
    return Spec(
        names=names,
        shape=(truth.channels, *truth.size),
        context_names=context,
        context_shape=(len(context), *truth.size),
    )
