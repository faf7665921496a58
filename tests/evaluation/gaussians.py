"""Flows whose every number is known: an affine map onto a standard Gaussian, and ways to break it."""

from __future__ import annotations

import torch
from torch import Tensor

from data.memory import InMemory
from flows.bases import StandardNormal
from flows.core import Density, Flow, Part, Sampler, Spec, Transform
from flows.transforms import Standardize


class Scale(Transform):
    """z = (x - mean - shift·context) / std, one mean and std for all features."""

    def __init__(self, mean: float = 0.0, std: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.mean, self.std, self.shift = mean, std, shift
        self.register_buffer("anchor", torch.zeros(1, dtype=torch.float64))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (x - self._centre(context)) / self.std, self._ladj(x, -1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.std + self._centre(context), self._ladj(z, 1)

    def _centre(self, context: Tensor | None) -> float | Tensor:
        return self.mean if context is None else self.mean + self.shift * context

    def _ladj(self, x: Tensor, sign: int) -> Tensor:
        return torch.full(
            x.shape[:-1], sign * x.shape[-1] * float(torch.tensor(self.std).log()), dtype=x.dtype
        )


def gaussian(features: int = 2, mean: float = 0.0, std: float = 1.0, shift: float = 0.0) -> Flow:
    """Given a context of one number if there is a shift, which it adds to the mean."""
    normaliser = Standardize((1,)).double() if shift else None
    return Flow(Scale(mean, std, shift), StandardNormal((features,)).double(), normaliser)


class Wrong(Density):
    """Draws from one density and claims to be another."""

    def __init__(self, draws: Density, claims: Density, offset: float = 0.0) -> None:
        super().__init__()
        self.draws, self.claims, self.offset = draws, claims, offset

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.draws.sample(n, context, generator)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.claims.log_prob(x, context) + self.offset


class Drawn:
    """A dataset of draws of a density."""

    def __init__(
        self,
        density: Density,
        features: int = 2,
        n: int = 2000,
        known: bool = True,
        parts: tuple[Part, ...] = ("train", "val", "test"),
        labels: bool = False,
    ) -> None:
        names = tuple("abcdefgh"[:features])
        self.spec = Spec(names, (features,), ("label",) if labels else (), (1,) if labels else None)
        self.truth = density if known else None
        self.law = density
        self._sources = {}
        for seed, part in enumerate(parts):
            generator = torch.Generator().manual_seed(seed + 100)
            context = torch.randint(2, (n, 1), generator=generator).double() if labels else None
            x = (
                density.sample(n, None, generator)
                if context is None
                else density.sample(1, context, generator)[0]
            )
            self._sources[part] = InMemory(x, context)

    def source(self, part: Part) -> InMemory | None:
        return self._sources.get(part)

    def classes(self, part: Part) -> Tensor | None:
        source = self.source(part)
        return None if source is None else (source.x[:, 0] > 0).long()

    def layout(self, part: Part) -> None:
        return None


class Copier(Sampler):
    """Gives training points back, moved by a little noise; with context, that of the nearest context."""

    def __init__(self, data: Drawn, noise: float = 0.0, share: float = 1.0) -> None:
        super().__init__()
        self.x, self.context = data.source("train").take(slice(None))
        self.noise, self.share, self.honest = noise, share, data.law

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        if context is None:
            rows = torch.randint(len(self.x), (n,), generator=generator)
        else:
            rows = torch.cdist(context, self.context).argmin(1).expand(n, -1)
        copies = self.x[rows]
        copies = copies + self.noise * torch.randn(copies.shape, generator=generator, dtype=copies.dtype)
        fresh = self.honest.sample(n, context, generator)
        own = torch.rand(copies.shape[:-1], generator=generator) < self.share
        return torch.where(own.unsqueeze(-1), copies, fresh)
