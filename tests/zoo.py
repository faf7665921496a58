"""Every model of conf/model, small, in float64, its parameters perturbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from flows.config import build
from flows.core import Batch, Density, Flow, Spec

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
SMALL = {"layers": 4, "width": 16, "depth": 2, "activation": "tanh", "hidden": 1, "orders": 2}


def names(group: str) -> list[str]:
    """The options of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def node(group: str, name: str) -> dict[str, Any]:
    """An option's YAML."""
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


def spec(features: int, context: int = 0) -> Spec:
    """Unbounded features x0, x1, … and contexts c0, c1, …"""
    return Spec(
        names=tuple(f"x{k}" for k in range(features)),
        shape=(features,),
        context_names=tuple(f"c{k}" for k in range(context)),
        context_shape=(context,) if context else None,
    )


def data(features: int, context: int = 0, n: int = 512, seed: int = 0) -> Batch:
    """Correlated data, off centre and of unequal scale."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, features, generator=generator, dtype=torch.float64)
    x = z.cumsum(-1) * torch.arange(1, features + 1) + 3.0
    c = torch.randn(n, context, generator=generator, dtype=torch.float64) * 2 + 1 if context else None
    return Batch(x, c)


def model(name: str, features: int = 2, context: int = 0, seed: int = 0, scale: float = 0.1) -> Density:
    """A model, fitted to the units of `data`, all its parameters moved from where they start."""
    config = node("model", name)
    config |= {key: value for key, value in SMALL.items() if key in config}
    torch.manual_seed(seed)
    density: Density = build(config, "model", spec=spec(features, context)).double()
    with torch.no_grad():
        density.initialise(data(features, context))
    perturb(density, scale, seed)
    return density.eval()


def perturb(net: nn.Module, scale: float, seed: int) -> None:
    """Add noise to every parameter: a zero-initialised layer inverts by luck."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p += scale * torch.randn(p.shape, generator=generator, dtype=p.dtype)


def jacobian_ladj(function: Any, points: Tensor, context: Tensor | None) -> Tensor:
    """log |det J| of a map of (D,) at each of (N, D) points, by autodiff."""
    ladjs = []
    for k, point in enumerate(points):
        given = None if context is None else context[k]
        jacobian = torch.func.jacrev(lambda p, given=given: function(p, given)[0])(point)
        ladjs.append(torch.linalg.slogdet(jacobian).logabsdet)
    return torch.stack(ladjs)


def as_flow(density: Density) -> Flow:
    assert isinstance(density, Flow)
    return density
