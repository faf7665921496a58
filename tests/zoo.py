"""Every model of conf/model, small, in float64, its parameters perturbed.

A model is of vectors, or of fields where it refuses those; it is tested on what it is of.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from flows.config import build
from flows.core import Batch, Density, Flow, Spec, Transform
from flows.errors import UserError

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
SMALL = {"layers": 4, "width": 16, "depth": 2, "activation": "tanh", "hidden": 1, "orders": 2}
Shape = int | tuple[int, int, int]  # features of a vector, or channels, height and width of a field


def names(group: str) -> list[str]:
    """The options of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def node(group: str, name: str) -> dict[str, Any]:
    """An option's YAML."""
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


def spec(shape: Shape, context: int = 0) -> Spec:
    """Unbounded features (or channels) x0, x1, … and contexts c0, c1, …, on a grid where x is."""
    features, *grid = (shape,) if isinstance(shape, int) else shape
    return Spec(
        names=tuple(f"x{k}" for k in range(features)),
        shape=(features, *grid),
        context_names=tuple(f"c{k}" for k in range(context)),
        context_shape=(context, *grid) if context else None,
    )


def data(shape: Shape, context: int = 0, n: int = 512, seed: int = 0) -> Batch:
    """Correlated data, off centre and of unequal scale."""
    generator = torch.Generator().manual_seed(seed)
    features, *grid = (shape,) if isinstance(shape, int) else shape
    z = torch.randn(n, *grid, features, generator=generator, dtype=torch.float64)
    x = z.cumsum(-1) * torch.arange(1, features + 1) + 3.0
    size = (n, *grid, context)
    c = torch.randn(size, generator=generator, dtype=torch.float64) * 2 + 1 if context else None
    return Batch(x.movedim(-1, 1), None if c is None else c.movedim(-1, 1))


def built(name: str, shape: Shape, context: int = 0, seed: int = 0) -> Density:
    """A model, small, in float64, as it is before it has met data."""
    return built_for(spec(shape, context), name, seed)


def built_for(spec: Spec, name: str, seed: int = 0) -> Density:
    """The same, of data that a spec describes."""
    config = node("model", name)
    config |= {key: value for key, value in SMALL.items() if key in config}
    torch.manual_seed(seed)
    return build(config, "model", spec=spec).double()


def model(name: str, shape: Shape = 2, context: int = 0, seed: int = 0, scale: float = 0.1) -> Density:
    """A model, fitted to the units of `data`, all its parameters moved from where they start."""
    density = built(name, shape, context, seed)
    with torch.no_grad():
        density.initialise(data(shape, context))
    perturb(density, scale, seed)
    return density.eval()


def perturb(net: nn.Module, scale: float, seed: int) -> None:
    """Add noise to every parameter: a zero-initialised layer inverts by luck.

    A convolution sums over the cells of its kernel, which are given noise as of one.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            cells = math.prod(p.shape[2:]) if p.dim() == 4 else 1
            p += scale / math.sqrt(cells) * torch.randn(p.shape, generator=generator, dtype=p.dtype)


def jacobian_ladj(function: Any, points: Tensor, context: Tensor | None) -> Tensor:
    """log |det J| of a map of (*shape) at each of (N, *shape) points, by autodiff."""
    ladjs = []
    for k, point in enumerate(points):
        given = None if context is None else context[k]
        jacobian = torch.func.jacrev(lambda p, given=given: function(p, given)[0])(point)
        ladjs.append(torch.linalg.slogdet(jacobian.reshape(point.numel(), point.numel())).logabsdet)
    return torch.stack(ladjs)


def check_bijection(transform: Transform, x: Tensor) -> None:
    """Inverse both ways, and ladj that is autodiff's both ways, of (N, D) points."""
    z, ladj = transform(x)
    back, ladj_back = transform.inverse(z)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(ladj[:20], jacobian_ladj(transform, x[:20], None), atol=1e-8, rtol=1e-8)
    few = jacobian_ladj(transform.inverse, z[:20], None)
    torch.testing.assert_close(ladj_back[:20], few, atol=1e-8, rtol=1e-8)


def as_flow(density: Density) -> Flow:
    assert isinstance(density, Flow)
    return density


def refuses_vectors(name: str) -> bool:
    try:
        built(name, 2)
    except UserError:
        return True
    return False


FIELDS = [name for name in names("model") if refuses_vectors(name)]
MODELS = [name for name in names("model") if name not in FIELDS]


def example(name: str) -> tuple[Shape, int]:
    """What a model is tried on where one shape of x and context is enough."""
    return ((2, 4, 5) if name in FIELDS else 3), 2
