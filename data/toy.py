"""A dataset in the plane whose density is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final, get_args

import numpy as np
import torch
from torch import Tensor

from data.memory import InMemory
from data.mixture import Mixture
from flows.core import Part, Spec
from flows.errors import UserError

Draw = Callable[..., tuple[Any, Any]]


@final
class Toy:
    """Draws of a known density, made when first asked for.

    Each part has its own seed, so that changing the size of one leaves the others as they are.

    Args:
        truth: Density of the data; its components are the classes.
        sizes: Number of train, val and test points.
        seed: Not negative.
        labels: Whether each point's component is given as context, one-hot.
        component: What a component is called, such as "moon".
        draw: Called as draw(n, random_state=...), gives points (n, 2) and their component (n,) as
            scikit-learn's generators do; the truth itself is drawn from if None.
        support: Closed range of x and of y, or None where they have no bounds.

    Raises: UserError if labels are asked for and there is but one component.

    >>> from data.shapes import Ring
    >>> toy = Toy(Mixture([Ring(1.0, 0.1), Ring(2.0, 0.1)]), (10, 5, 5), seed=0, labels=True)
    >>> [tensor.shape for tensor in toy.source("train").take(slice(None))]
    [torch.Size([10, 2]), torch.Size([10, 2])]
    """

    def __init__(
        self,
        truth: Mixture,
        sizes: tuple[int, int, int],
        seed: int,
        labels: bool = False,
        component: str = "class",
        draw: Draw | None = None,
        support: tuple[tuple[float, float] | None, ...] | None = None,
    ) -> None:
        if labels and len(truth) == 1:
            raise UserError(f"labels=true needs more than one {component}; there is one, so labels=false")
        self.truth = truth
        self.spec = Spec(
            names=("x", "y"),
            shape=(2,),
            context_names=tuple(f"{component}_{k}" for k in range(len(truth))) if labels else (),
            context_shape=(len(truth),) if labels else None,
            support=support,
        )
        self._sizes = dict(zip(get_args(Part), sizes, strict=True))
        self._seed = seed
        self._labels = labels
        self._draw = draw or self._from_truth
        self._drawn: dict[Part, tuple[Tensor, Tensor]] = {}
        self._sources: dict[Part, InMemory] = {}

    def source(self, part: Part) -> InMemory:
        """Points (N, 2) in float64, with the component (N, K) as context if labels were asked for."""
        if part not in self._sources:
            x, component = self._points(part)
            self._sources[part] = InMemory(x, self._one_hot(component) if self._labels else None)
        return self._sources[part]

    def classes(self, part: Part) -> Tensor | None:
        """Each point's component (N,), or None if there is but one."""
        return self._points(part)[1] if len(self.truth) > 1 else None

    def _points(self, part: Part) -> tuple[Tensor, Tensor]:
        if part not in self._drawn:
            place = [*self._sizes].index(part)
            seed = int(np.random.SeedSequence([self._seed, place]).generate_state(1)[0])
            x, component = self._draw(self._sizes[part], random_state=seed)
            self._drawn[part] = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(component).long()
        return self._drawn[part]

    def layout(self, part: Part) -> None:
        """Points are no fields."""

    def _from_truth(self, n: int, random_state: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(random_state)
        component = torch.randint(len(self.truth), (n,), generator=generator)
        return self.truth.sample(1, self._one_hot(component), generator)[0], component

    def _one_hot(self, component: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(component, len(self.truth)).double()
