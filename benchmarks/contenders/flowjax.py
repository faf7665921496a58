"""flowjax's coupling flow and its own jitted step, where JAX finds itself: on a GPU if it has one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import AbstractDistribution, StandardNormal
from flowjax.flows import coupling_flow
from flowjax.train import step as update
from flowjax.train.losses import MaximumLikelihoodLoss

from benchmarks.contenders.architecture import LR, Architecture
from benchmarks.contenders.contender import Contender, Work


def build(architecture: Architecture, mode: str) -> Contender:
    flow = model(architecture, 0)
    params, static = eqx.partition(flow, eqx.is_inexact_array)
    optimizer, loss = optax.adam(LR), MaximumLikelihoodLoss()
    state = optimizer.init(params)
    batches = _batches(jnp.asarray(architecture.data()), architecture.batch)
    log_prob = eqx.filter_jit(lambda flow, x: flow.log_prob(x))
    sample = eqx.filter_jit(lambda flow, key, n: flow.sample(key, (n,)))

    def step() -> jax.Array:
        nonlocal params, state
        batch = next(batches)
        params, state, value = update(
            params, static, batch, optimizer=optimizer, opt_state=state, loss_fn=loss
        )
        return value

    def scored(x: np.ndarray) -> Work:
        return partial(log_prob, flow, jnp.asarray(x))

    def drawn(n: int) -> Work:
        return partial(sample, flow, jr.key(1), n)

    count = sum(leaf.size for leaf in jax.tree_util.tree_leaves(params))
    return Contender(count, step, scored, drawn, wait=jax.block_until_ready)


def model(architecture: Architecture, seed: int) -> AbstractDistribution:
    """Its coupling flow; in its words a spline of 8 bins has 7 knots inside."""
    spline = None
    if architecture.kind == "spline":
        spline = RationalQuadraticSpline(knots=architecture.bins - 1, interval=architecture.reach)
    return coupling_flow(
        jr.key(seed),
        base_dist=StandardNormal((architecture.features,)),
        transformer=spline,
        flow_layers=architecture.layers,
        nn_width=architecture.width,
        nn_depth=architecture.depth,
    )


def _batches(data: jax.Array, size: int) -> Iterator[jax.Array]:
    """As its own loop has them: an epoch is shuffled and cut at once."""
    key, size = jr.key(0), min(size, len(data))
    while True:
        key, now = jr.split(key)
        count = len(data) // size
        yield from jr.permutation(now, data)[: count * size].reshape(count, size, -1)
