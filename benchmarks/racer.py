"""A peer's script of the race: what its user would write, from the first import to a trained flow.

`python -m benchmarks.racer JSON`; the JSON has the contender, the recipe, and where points to score lie
and scores go. The moment at which training ended is printed; what comes after costs the racer nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.contenders import module
from benchmarks.contenders.architecture import Architecture
from data.strewn import half_circles

BATCH, CLIP, WARMUP = 256, 5.0, 50
RACING = {
    "realnvp": Architecture("realnvp", features=2, layers=8, width=64, depth=2, batch=BATCH),
    "spline": Architecture("spline", features=2, layers=4, width=64, depth=2, batch=BATCH, bins=8),
}
Scores = Callable[[np.ndarray], np.ndarray]


def points(seed: int) -> np.ndarray:
    """The training part of `dataset=moons dataset.seed=SEED`; a peer doesn't pay for scikit-learn either."""
    state = int(np.random.SeedSequence([seed, 0]).generate_state(1)[0])
    return half_circles(30_000, state, noise=0.05)[0]


def with_torch(name: str, kind: str, lr: float, steps: int, seed: int, data: np.ndarray) -> Scores:
    """A peer of torch: fused Adam, warm-up and cosine, clipped gradients."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    flow, loss, log_prob, _ = module(name).parts(RACING[kind])
    x, generator = torch.from_numpy(data), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(flow.parameters(), lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps, pct_start=WARMUP / steps, cycle_momentum=False
    )
    for _ in range(steps):
        value = loss(x[torch.randint(len(x), (BATCH,), generator=generator)])
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), CLIP)
        optimizer.step()
        schedule.step()

    @torch.no_grad()
    def scores(x: np.ndarray) -> np.ndarray:
        return log_prob(torch.from_numpy(x)).numpy()

    return scores


def with_jax(name: str, kind: str, lr: float, steps: int, seed: int, data: np.ndarray) -> Scores:
    """flowjax: the same by optax, in its own jitted step."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.train import step
    from flowjax.train.losses import MaximumLikelihoodLoss

    schedule = optax.warmup_cosine_decay_schedule(0.0, lr, WARMUP, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(schedule))
    params, static = eqx.partition(module(name).model(RACING[kind], seed), eqx.is_inexact_array)
    state, loss, random = optimizer.init(params), MaximumLikelihoodLoss(), np.random.default_rng(seed)
    for _ in range(steps):
        batch = jnp.asarray(data[random.integers(len(data), size=BATCH)])
        params, state, _ = step(params, static, batch, optimizer=optimizer, opt_state=state, loss_fn=loss)
    flow = jax.block_until_ready(eqx.combine(params, static))
    return lambda x: np.asarray(flow.log_prob(jnp.asarray(x)))


def main(told: str) -> None:
    asked = json.loads(told)
    train = with_jax if asked["contender"] == "flowjax" else with_torch
    data = points(asked["seed"])
    mean, std = data.mean(0), data.std(0)
    scores = train(
        asked["contender"],
        asked["kind"],
        asked["lr"],
        asked["steps"],
        asked["seed"],
        ((data - mean) / std).astype(np.float32),
    )
    print(time.time(), flush=True)
    test = np.load(asked["points"])
    found = scores(((test - mean) / std).astype(np.float32)).astype(np.float64) - np.log(std).sum()
    np.save(Path(asked["scores"]), found)


if __name__ == "__main__":
    main(sys.argv[1])
