"""A flow for fields, given other fields on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from flows.bases import StandardNormal
from flows.core import Compose, Flow, Inverse, Spec, Transform
from flows.errors import UserError
from flows.masks import present
from flows.nets import ConvNet, Muted, Padding, Reduce
from flows.transforms import (
    Affine,
    Coupling,
    Given,
    Guided,
    Level,
    Mixing,
    Squeeze,
    Standardize,
    haar,
    normaliser,
)
from flows.types import NonNegativeInt, PositiveFloat, PositiveInt


def conditional_flow(
    spec: Spec,
    levels: PositiveInt = 2,
    layers: PositiveInt = 4,
    width: PositiveInt = 48,
    depth: NonNegativeInt = 1,
    padding: Padding = "circular",
    bound: PositiveFloat = 2.0,
    mixing: Literal["learned", "none"] = "learned",
) -> Flow:
    """Standardise, then at each resolution mix channels and couple them, and last take the prior's units.

    A level squeezes 2 × 2 cells into channels, the first C of which start as local means and go on to the
    next. Its prior net gives mean and standard deviation of what the couplings make, given the context;
    the base stays a standard Gaussian. The context is encoded once for each level, from the level before;
    nets see in it which cells of an odd side's last block are absent. Nothing is fitted but the units of x
    and context, one a channel. Cells that the data never has are left alone: nets see zeros there.

    Args:
        spec: What the data is: fields (C, H, W) of two rows and columns or more, odd sizes too.
        levels: Resolutions, fewer where the field can't be halved so often.
        layers: Couplings of each level, a mixing before each; without mixing, maps by the context.
        width: Channels of each net's layers, and of the encoded context.
        depth: Residual blocks of each net.
        padding: What nets see beyond the edges: zeros, the other side (circular), or the edge (replicate).
        bound: Largest |log-scale| of one coupling, and of the prior.
        mixing: "none" leaves only maps of each cell by functions of the context, so one level, and a law
            of independent cells.

    Raises: UserError if x isn't such a field, or the context isn't one of the same size.
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803; Kingma and Dhariwal
        2018, Glow, arXiv:1807.03039; Winkler et al. 2019, Learning likelihoods with conditional
        normalizing flows, arXiv:1912.00042.

    >>> spec = Spec(names=("t",), shape=(1, 6, 5), context_names=("a", "b"), context_shape=(2, 6, 5))
    >>> flow = conditional_flow(spec)
    >>> context = torch.zeros(7, 2, 6, 5)
    >>> flow.log_prob(flow.sample(1, context)[0], context).shape
    torch.Size([7])
    """
    size, inputs = _fields(spec)
    net = partial(ConvNet, width=width, padding=padding)
    there = present(spec.absent, spec.shape)
    squeezes = _squeezes(spec.shape[0], size, 1 if mixing == "none" else levels, there)
    transform: Transform | None = None
    for squeeze in reversed(squeezes):
        if mixing == "none":
            steps = [_prior(squeeze, net, width, depth, bound) for _ in range(layers)]
        else:
            steps = [*_couplings(squeeze, layers, net, width, depth, bound)]
            steps.append(_prior(squeeze, net, width, 0, bound))  # of features that a deep net has made
        encode = Reduce(inputs if squeeze is squeezes[0] else width, width, depth, padding)
        transform = Guided(encode, Level(squeeze, Compose(steps), transform))
    assert transform is not None
    return Flow(
        Compose([Standardize(spec.shape, shared=2, present=there), transform]),
        StandardNormal(spec.shape, context_dims=3, present=there),
        normaliser(spec),
    )


def _fields(spec: Spec) -> tuple[tuple[int, int], int]:
    """Height and width of the fields, and the channels of the context.

    Raises: UserError if they aren't fields on one grid.
    """
    if len(spec.shape) != 3 or min(spec.shape[1:]) < 2:
        raise UserError(
            "model=conditional_flow needs fields (channels, height, width) of 2 × 2 cells or more; "
            f"this dataset has {spec.shape}"
        )
    context, grid = spec.context_shape or (0, *spec.shape[1:]), spec.shape[1:]
    if len(context) != 3 or context[1:] != grid:
        raise UserError(
            f"model=conditional_flow needs a context on the grid of x, (channels, {grid[0]}, {grid[1]}); "
            f"this dataset's is {context}"
        )
    return (grid[0], grid[1]), context[0]


def _squeezes(channels: int, size: tuple[int, int], levels: int, there: Tensor | None) -> list[Squeeze]:
    """One for each level, as long as there are two rows and columns to halve."""
    squeezes = [Squeeze(channels, size, there)]
    while len(squeezes) < levels and min(squeezes[-1].size) > 1:
        last = squeezes[-1]  # its first channels go on, and lack the same cells there
        squeezes.append(Squeeze(channels, last.size, last.present()[:channels]))
    return squeezes


def _couplings(
    squeeze: Squeeze, layers: int, net: Callable[..., nn.Module], width: int, depth: int, bound: float
) -> Iterator[Transform]:
    """Mixings, each with a coupling of half the channels given the other half, then the other way round."""
    half, there = 2 * squeeze.channels, squeeze.present()
    corner = torch.arange(4).repeat_interleave(squeeze.channels)
    for layer in range(layers):
        yield Mixing(haar(squeeze.channels) if layer == 0 else torch.eye(2 * half), there.all(0))
        # the first corner is paired with each other in turn: where cells are absent, no mixing does that
        first = (corner == 0) | (corner == 1 + layer // 2 % 3)
        kept = first if layer % 2 == 0 else ~first
        couple = net(half, Affine.params * half, context=width, depth=depth)
        yield Coupling(kept, _where(there[~kept], couple), Affine(bound, axis=-3), axis=-3)


def _prior(squeeze: Squeeze, net: Callable[..., nn.Module], width: int, depth: int, bound: float) -> Inverse:
    """z = (x - μ(c)) / σ(c), so the inverse of the affine map μ(c) + σ(c)·x."""
    there = squeeze.present()
    moments = net(width, Affine.params * len(there), depth=depth)
    return Inverse(Given(_where(there, moments), Affine(bound, axis=-3), axis=-3))


def _where(there: Tensor, net: nn.Module) -> nn.Module:
    """A net of affine maps, those of absent cells being the identity."""
    if bool(there.all()):
        return net
    return Muted(net, there.repeat(Affine.params, 1, 1))
