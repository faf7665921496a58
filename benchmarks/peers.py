"""Densities that others' code trains, wrapped so that our judge can measure them as it measures ours.

A peer gets its own recipe: Adam-like optimizer and cosine, fresh dequantisation at each step, early stopping
on the validation part. What was tuned, on seeds 100 and 101 and validation alone: `benchmarks.tuning`.
"""

from __future__ import annotations

import copy
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from flows.core import Compose, Dataset, Density
from flows.lattice import dequantise
from flows.transforms import Logit, Rescale, Standardize, bounded

Units = Literal["standard", "logit", "box"]


class Recipe(NamedTuple):
    """How a peer's flow is trained."""

    units: Units = "standard"
    lr: float = 5e-4
    weight_decay: float = 0.1
    batch: int = 256
    steps: int = 3000
    every: int = 50  # steps between validations
    patience: int = 10


class Peer(Density):
    """A zuko flow in units of its own."""

    def __init__(self, flow: Any, units: Compose) -> None:
        super().__init__()
        self.flow = flow
        self.units = units

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        z, ladj = self.units(x)
        return self.flow().log_prob(z) + ladj

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        base, transform = self.flow().base, self.flow().transform
        z = torch.randn((n, *base.batch_shape, *base.event_shape), generator=generator)
        return self.units.inverse(transform.inv(z))[0]


def nsf(features: int) -> nn.Module:
    """zuko's neural spline flow: 5 transforms, 8 bins, nets of 2 × 128."""
    import zuko

    return zuko.flows.NSF(features, transforms=5, bins=8, hidden_features=(128, 128))


def train(dataset: Dataset, recipe: Recipe, seed: int) -> tuple[Density, list[dict[str, float]]]:
    """A trained zuko NSF at its best validation, and its validations."""
    torch.manual_seed(seed)
    source, held_out = dataset.source("train"), dataset.source("val")
    assert source is not None
    assert held_out is not None
    train_x, val_x = (part.take(slice(None)).x.float() for part in (source, held_out))
    generator = torch.Generator().manual_seed(seed)
    units = _units(dataset, recipe.units)
    with torch.no_grad():
        units.initialise(source.take(slice(None))._replace(x=dequantise(train_x, dataset.spec, generator)))
    model = Peer(nsf(train_x.shape[1]), units)
    optimizer = torch.optim.AdamW(model.flow.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    val_x = dequantise(val_x, dataset.spec, torch.Generator().manual_seed(0))
    best, kept, misses, rows = float("inf"), copy.deepcopy(model.state_dict()), 0, []
    for step in range(1, recipe.steps + 1):
        places = torch.randint(len(train_x), (recipe.batch,), generator=generator)
        loss = -model.log_prob(dequantise(train_x[places], dataset.spec, generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.flow.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % recipe.every == 0:
            with torch.no_grad():
                score = -model.log_prob(val_x).mean().item()
            rows.append({"step": step, "nll": loss.item(), "val_nll": score})
            misses = 0 if score < best else misses + 1
            if score < best:
                best, kept = score, copy.deepcopy(model.state_dict())
            if misses >= recipe.patience:
                break
    model.load_state_dict(kept)
    return model.eval(), rows


def _units(dataset: Dataset, kind: Units) -> Compose:
    spec = dataset.spec
    if kind == "standard":
        return Compose([Standardize(spec.shape)])
    if kind == "logit":
        return Compose([Rescale(spec), Logit(bounded(spec)), Standardize(spec.shape)])
    return Compose([Rescale(spec), _Box()])


class _Box(nn.Module):
    """The unit interval onto (-5, 5), where zuko's splines live."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return 10 * x - 5, torch.full(x.shape[:-1], x.shape[-1] * 2.302585)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (z + 5) / 10, torch.full(z.shape[:-1], -z.shape[-1] * 2.302585)

    def initialise(self, batch: Any) -> None:
        """Nothing to fit."""
