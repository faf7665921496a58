"""The classic toys of the plane, one short function each. Their arguments are their configuration."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from data.bends import Bend, Twist, Widen
from data.mixture import Mixture
from data.shapes import Box, Gaussians, Ring, ribbon
from data.strewn import half_circles, two_circles
from data.toy import Toy
from flows.core import Flow
from flows.types import Fraction, PositiveInt, Seed

Few = Annotated[int, Field(ge=1, le=16)]
# bounds between which every density, drawn in float32 too, keeps its digits
Length = Annotated[float, Field(ge=1e-3, le=1e3)]
Slope = Annotated[float, Field(ge=-100, le=100)]
Spread = Annotated[float, Field(ge=1e-3, le=10)]
Turns = Annotated[float, Field(ge=1e-3, le=100)]


def moons(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    noise: Length = 0.05,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Two interleaved half-circles of radius 1, drawn as scikit-learn does.

    Points are spaced evenly along the curves before they are blurred: means are surer than those of
    independent draws, so that intervals err on the wide side, and parts of equal size have equal places
    along the curve.

    Args:
        noise: Standard deviation of the blur.
        labels: Give the moon as context, one-hot.

    >>> moons(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """

    def upper(t: Tensor) -> Tensor:
        return torch.stack([t.cos(), t.sin()], -1)

    def lower(t: Tensor) -> Tensor:
        return torch.stack([1 - t.cos(), 0.5 - t.sin()], -1)

    truth = Mixture([ribbon(curve, (0, math.pi), noise) for curve in (upper, lower)])
    draw = partial(half_circles, noise=noise)
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "moon", draw)


def circles(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    noise: Length = 0.05,
    factor: Fraction = 0.5,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """A circle of radius 1 around a smaller one, drawn as scikit-learn does, evenly along both as `moons`.

    Args:
        noise: Standard deviation of the blur.
        factor: Radius of the inner circle.
        labels: Give the circle as context, one-hot; 0 is the outer one.

    >>> circles(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    truth = Mixture([Ring(1.0, noise), Ring(factor, noise)])
    draw = partial(two_circles, noise=noise, factor=factor)
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "circle", draw)


def rings(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    rings: Few = 4,
    radius: Length = 3.0,
    noise: Length = 0.08,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Concentric rings, equally far apart and equally likely.

    Args:
        rings: How many.
        radius: That of the outermost; ring k has (k + 1) / rings of it.
        noise: Standard deviation of the blur.
        labels: Give the ring as context, one-hot.

    References: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367.

    >>> rings(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    truth = Mixture([Ring(radius * (k + 1) / rings, noise) for k in range(rings)])
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "ring")


def eight_gaussians(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    radius: Length = 2.8,
    noise: Length = 0.35,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Eight equal Gaussians on a circle.

    Args:
        radius: That of the circle.
        noise: Standard deviation of each Gaussian.
        labels: Give the Gaussian as context, one-hot, anticlockwise from (radius, 0).

    References: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367.

    >>> eight_gaussians(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    centres = radius * torch.stack([angle.cos(), angle.sin()], -1)
    truth = Mixture([Gaussians(centre, noise) for centre in centres.split(1)])
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "gaussian")


def gaussian_grid(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    side: Few = 5,
    spacing: Length = 2.0,
    noise: Length = 0.05,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Equal Gaussians on a square grid about the origin: narrow modes, easily lost.

    Args:
        side: Gaussians along each side.
        spacing: Distance of neighbours.
        noise: Standard deviation of each Gaussian.
        labels: Give the Gaussian as context, one-hot, column by column from the lower left.

    References: Lin et al. 2018, PacGAN, arXiv:1712.04086.

    >>> gaussian_grid(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    ticks = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    truth = Mixture([Gaussians(centre, noise) for centre in torch.cartesian_prod(ticks, ticks).split(1)])
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "gaussian")


def pinwheel(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    arms: Few = 5,
    radius: Length = 2.0,
    length: Length = 0.6,
    noise: Length = 0.2,
    rate: Slope = 0.4,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Long Gaussians pointing outwards, twisted about the origin.

    The twist is an angle of the radius alone, so it keeps areas and the density is exact.

    Args:
        arms: How many.
        radius: Distance of an arm's centre from the origin.
        length: Standard deviation along an arm.
        noise: Standard deviation across an arm.
        rate: Turn for each unit of radius, in radians.
        labels: Give the arm as context, one-hot.

    References: Johnson et al. 2016, Composing graphical models with neural networks, arXiv:1603.06277.

    >>> pinwheel(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    centre = torch.tensor([[radius, 0.0]])
    truth = Mixture(
        [Flow(Twist(2 * math.pi * k / arms, rate), Gaussians(centre, (length, noise))) for k in range(arms)]
    )
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "arm")


def spirals(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    turns: Turns = 1.5,
    radius: Length = 3.2,
    noise: Length = 0.1,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Two arms that leave the origin in opposite directions, drawn in proportion to their radius.

    Args:
        turns: How often each winds round.
        radius: Where they end.
        noise: Standard deviation of the blur.
        labels: Give the arm as context, one-hot.

    References: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367.

    >>> spirals(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """

    def arm(t: Tensor, sign: int) -> Tensor:
        angle = 2 * math.pi * turns * t
        return sign * radius * torch.stack([-t * angle.cos(), t * angle.sin()], -1)

    truth = Mixture([ribbon(partial(arm, sign=sign), (0, 1), noise, weight=lambda t: t) for sign in (1, -1)])
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "arm")


def swiss_roll(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    noise: Length = 0.2,
    seed: Seed = 0,
) -> Toy:
    """A rolled-up line, seen from its side: scikit-learn's, divided by 5.

    Args:
        noise: Standard deviation of the blur, after the division.

    >>> swiss_roll(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    from sklearn.datasets import make_swiss_roll

    def roll(t: Tensor) -> Tensor:
        return torch.stack([t * t.cos(), t * t.sin()], -1) / 5

    def draw(n: int, random_state: int) -> tuple[Any, Any]:
        points, _ = make_swiss_roll(n, noise=5 * noise, random_state=random_state)
        return points[:, [0, 2]] / 5, torch.zeros(n)

    truth = Mixture([ribbon(roll, (1.5 * math.pi, 4.5 * math.pi), noise)])
    return Toy(truth, (n_train, n_val, n_test), seed, component="roll", draw=draw)


def checkerboard(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    cells: Few = 4,
    extent: Length = 4.0,
    labels: bool = False,
    seed: Seed = 0,
) -> Toy:
    """Uniform on every other square of a board, zero on the rest.

    Args:
        cells: Squares along each side, of both colours.
        extent: The board reaches from -extent to extent.
        labels: Give the square as context, one-hot, column by column from the lower left.

    References: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367.

    >>> checkerboard(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    edge = [extent * (2 * k / cells - 1) for k in range(cells + 1)]
    truth = Mixture(
        [
            Box((edge[i], edge[j]), (edge[i + 1], edge[j + 1]))
            for i in range(cells)
            for j in range(cells)
            if (i + j) % 2 == 0
        ]
    )
    support = ((-extent, extent),) * 2
    return Toy(truth, (n_train, n_val, n_test), seed, labels, "square", support=support)


def banana(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    width: Length = 1.5,
    bend: Slope = 0.3,
    noise: Length = 0.4,
    seed: Seed = 0,
) -> Toy:
    """A Gaussian bent along a parabola: x ~ N(0, width²), y ~ N(bend·(x² - width²), noise²).

    Args:
        width: Standard deviation of x.
        bend: Steepness of the parabola.
        noise: Standard deviation of y about it.

    References: Haario et al. 1999, Adaptive proposal distribution for random walk Metropolis algorithm,
        Computational Statistics 14.

    >>> banana(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    truth = Mixture([Flow(Bend(bend, width), Gaussians(torch.zeros(1, 2), (width, noise)))])
    return Toy(truth, (n_train, n_val, n_test), seed, component="banana")


def funnel(
    n_train: PositiveInt = 30_000,
    n_val: PositiveInt = 5_000,
    n_test: PositiveInt = 20_000,
    spread: Spread = 1.5,
    seed: Seed = 0,
) -> Toy:
    """A Gaussian that widens upwards: y ~ N(0, spread²), x ~ N(0, exp(y)).

    Args:
        spread: Standard deviation of y; 3 is Neal's own, and hard.

    References: Neal 2003, Slice sampling, Annals of Statistics 31.

    >>> funnel(n_train=10).source("train").take(slice(None)).x.shape
    torch.Size([10, 2])
    """
    truth = Mixture([Flow(Widen(), Gaussians(torch.zeros(1, 2), (1.0, spread)))])
    return Toy(truth, (n_train, n_val, n_test), seed, component="funnel")
