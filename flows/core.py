"""The ideas everything else is made of: what data is, what a bijection is, what a model can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast, final, runtime_checkable

import torch
from torch import Tensor, nn

from flows.errors import UserError

if TYPE_CHECKING:
    import xarray as xr

Part = Literal["train", "val", "test"]


class Spec(NamedTuple):
    """What one example is. Saved with a run, so that nothing is typed twice.

    Args:
        names: Names of the features (or channels), in order.
        shape: Shape of one x, such as (D,).
        context_names: Names of the context's features; empty without context.
        context_shape: Shape of one context, or None without context.
        support: Range (low, high) of each feature in data units. An end is None where there is none, so is a
            feature without ends, and so is the whole if no feature has any. On a lattice it covers whole
            cells; a lattice point is its cell's lower corner.
        quantum: Step of each feature's lattice in data units, None where continuous; None if all are.
        dtypes: What each column of a table was, such as "int64", and is to be again; None for floats.
        levels: Names of a categorical feature's values 0, 1, …; None where not categorical; None if none is.
        absent: Cells of a field that are missing in every example, as `flows.masks` writes them, or None.
            A density is one of the others alone, whatever stands there; draws have NaN there.
        context_absent: The same of the context.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    context_names: tuple[str, ...] = ()
    context_shape: tuple[int, ...] | None = None
    support: tuple[tuple[float | None, float | None] | None, ...] | None = None
    quantum: tuple[float | None, ...] | None = None
    dtypes: tuple[str, ...] | None = None
    levels: tuple[tuple[str, ...] | None, ...] | None = None
    absent: str | None = None
    context_absent: str | None = None

    def ends(self, feature: int) -> tuple[float, float]:
        """The support of one feature, infinite where it has no end."""
        low, high = (self.support[feature] if self.support else None) or (None, None)
        return -math.inf if low is None else low, math.inf if high is None else high

    def vectors(self, key: str, least: int = 1) -> tuple[int, int]:
        """How many features x and the context have, 0 without a context, where both are vectors.

        Raises: UserError, speaking of `key`, if they aren't, or x has fewer than `least` features.
        """
        context = self.context_shape or (0,)
        if len(self.shape) != 1 or self.shape[0] < least:
            needed = "vectors" if least == 1 else f"vectors of {least} features or more"
            raise UserError(f"{key} needs {needed}; this dataset has {self.shape}")
        if len(context) != 1:
            raise UserError(f"{key} needs a vector as context; this dataset's is {context}")
        return self.shape[0], context[0]

    def places(self, order: Sequence[str], key: str) -> Tensor:
        """Where the features of an order stand, a permutation of 0, …, D - 1 (D,).

        Raises: UserError, speaking of `key`, if the order doesn't name each feature once.
        """
        if sorted(order) != sorted(self.names):
            raise UserError(f"{key}: {list(order)} is no order of {', '.join(self.names)}; name each once")
        return torch.tensor([self.names.index(name) for name in order])


class Batch(NamedTuple):
    """Examples that travel together: x (B, *shape) is modelled, context (B, *context_shape) is given."""

    x: Tensor
    context: Tensor | None = None


@runtime_checkable
class Source(Protocol):
    """One part of a dataset, wherever it lies: in memory, on disk, or drawn afresh."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device, dtype: torch.dtype) -> Source:
        """The same examples, in the form `take` should give them."""
        ...

    def order(self, batch_size: int, generator: torch.Generator, taken: int = 0) -> Iterator[Tensor]:
        """Index blocks of one shuffled epoch, a whole number of full batches, less the first `taken`.

        The generator's state on entry fixes the epoch, whatever is taken of it; nothing is read here.
        """
        ...

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at these places."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """Owns names, units and splits, and the truth where it is known."""

    spec: Spec
    truth: Density | None

    def source(self, part: Part) -> Source | None:
        """The examples of one part, float64 on the CPU until moved; None where there is only a truth."""
        ...

    def classes(self, part: Part) -> Tensor | None:
        """An integer (N,) for each example to colour it by in figures, or None."""
        ...

    def layout(self, part: Part) -> xr.Dataset | None:
        """Variables, coordinates and attributes of the cases; None where there are none."""
        ...


class Transform(nn.Module, ABC):
    """A deterministic bijection from data to latent space; each direction returns its own ladj.

    A context that lacks leading dimensions of x serves all of them; what it alone decides is computed once.

    Shapes: x, z (..., *shape); context (..., *context_shape) or None, its lead broadcast to that of x;
        ladj (...).
    """

    shape: tuple[int, ...] = ()
    """Shape of one x; () where any will do."""

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log |det dz/dx|."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x and log |det dx/dz|."""

    def initialise(self, batch: Batch) -> None:
        """Fit what depends on data, once, before training."""

    def fitted(self) -> bool:
        """Whether `initialise` fits anything."""
        return type(self).initialise is not Transform.initialise


def unfitted(transform: Transform) -> Transform:
    """A transform for the inside of one that doesn't pass `initialise` on.

    Raises: ValueError if it has to be fitted to data: it never would be.
    """
    if transform.fitted():
        raise ValueError(f"{type(transform).__name__} is fitted to data; put it beside, into a Compose")
    return transform


class Sampler(nn.Module, ABC):
    """Something that can be drawn from."""

    @abstractmethod
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw n examples for each context: (n, *batch, *shape), without a gradient.

        batch is what leads the context's own dimensions; () without context.
        """

    def initialise(self, batch: Batch) -> None:
        """Fit what depends on data, once, before training."""


class Density(Sampler):
    """A sampler that also knows how likely each point is."""

    shape: tuple[int, ...] = ()
    """Shape of one x; () where any will do."""

    @abstractmethod
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats, in the units of x: (*batch,) for x (*batch, *shape)."""


class AnySubset(Density):
    r"""A density that knows each feature given any subset of the others.

    Its log_prob is exact: by the chain rule in one order of the features or, given several, that of their
    mixture, of which `sample` draws one first (an average of log-probabilities would be no density).

    What it says of hidden features given observed ones is likewise the mean over the orders in which the
    hidden ones follow, each weighing the same. That is a density of its own, which agrees with the quotient
    of `log_prob`s only as far as the orders do.

    Shapes: x (*batch, D); observed bool, broadcast against x; context (*batch, C) or None.
    References: Uria et al. 2014, A deep and tractable density estimator, arXiv:1310.1757.
    """

    orders: Tensor
    """The stated orders, (K, D): row k lists the features in the order in which they are drawn."""

    @abstractmethod
    def conditionals(self, x: Tensor, given: Tensor, context: Tensor | None = None) -> Tensor:
        """log p of each feature, each given features of its own: (*batch, D).

        given: bool, broadcast against (*batch, D, D); row d says which features d is given. What it says of
        d itself isn't heeded: a feature is never given itself.
        """

    @abstractmethod
    def impute(
        self,
        x: Tensor,
        observed: Tensor,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """x with what isn't observed drawn, given what is: (*batch, D), without a gradient.

        observed: bool (D,), the same features of each x. The rest of x may be anything, NaN too.
        """

    def conditional_log_prob(self, x: Tensor, observed: Tensor, context: Tensor | None = None) -> Tensor:
        """log p of each hidden feature given the observed ones, each alone; 0 where observed: (*batch, D)."""
        return self.conditionals(x, observed.unsqueeze(-2), context).masked_fill(observed, 0.0)

    def joint_log_prob(
        self, x: Tensor, observed: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """log p of the features that aren't observed, together, given those that are: (*batch,)."""
        each = [self.order_log_prob(x, order, context, observed) for order in self.orders]
        return torch.logsumexp(torch.stack(each), 0) - math.log(len(each))

    def order_log_prob(
        self, x: Tensor, order: Tensor, context: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """log p of the features that aren't observed, by the chain rule in one order (D,): (*batch,)."""
        rank = order.argsort()
        given = rank < rank.unsqueeze(-1)
        if observed is None:
            return self.conditionals(x, given, context).sum(-1)
        given = given | observed.unsqueeze(-2)
        return self.conditionals(x, given, context).masked_fill(observed, 0.0).sum(-1)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.joint_log_prob(x, None, context)


def check_shape(name: str, given: Tensor, shape: tuple[int, ...]) -> None:
    """See that the last dimensions are those of one example: others might be broadcast in silence.

    Raises: ValueError, speaking of `name`, if they aren't.
    """
    if shape and tuple(given.shape[-len(shape) :]) != shape:
        takes = ", ".join(["...", *map(str, shape)])
        raise ValueError(f"{name} has shape {tuple(given.shape)}; the model takes ({takes})")


def normalise(context: Tensor | None, normaliser: Transform | None) -> Tensor | None:
    """The context in the units of its normaliser; None where a model has none and takes no context.

    Raises: ValueError if the context is missing, isn't taken, or has another shape.
    """
    if context is None or normaliser is None:
        if context is not None or normaliser is not None:
            raise ValueError("a context is needed" if context is None else "this model takes no context")
        return None
    check_shape("context", context, normaliser.shape)
    return normaliser(context)[0]


@final
class Compose(Transform):
    """Transforms applied one after another, data side first; ladj adds up.

    Args:
        transforms: One at least; each can be had by its place.

    Shapes: x, z, context as the transforms take them; ladj (...).
    Raises: ValueError if there is none.

    >>> from flows.nets import MLP
    >>> from flows.transforms import Affine, Coupling, alternating
    >>> layers = [Coupling(alternating(2, start), MLP(1, 2), Affine()) for start in (True, False)]
    >>> transform = Compose(layers)
    >>> len(transform), transform[-1] is layers[-1]
    (2, True)
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        super().__init__()
        if not transforms:
            raise ValueError("Compose needs at least one transform")
        self.transforms = nn.ModuleList(transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(cast("Sequence[Transform]", self.transforms))

    def __len__(self) -> int:
        return len(self.transforms)

    def __getitem__(self, place: int) -> Transform:
        return cast("Transform", self.transforms[place])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first, *rest = self
        z, total = first(x, context)
        for transform in rest:
            z, ladj = transform(z, context)
            total = total + ladj
        return z, total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        last, *rest = reversed([*self])
        x, total = last.inverse(z, context)
        for transform in rest:
            x, ladj = transform.inverse(x, context)
            total = total + ladj
        return x, total

    def initialise(self, batch: Batch) -> None:
        last = max((place for place, transform in enumerate(self) if transform.fitted()), default=0)
        x = batch.x
        for transform in [*self][:last]:
            transform.initialise(Batch(x, batch.context))
            x, _ = transform(x, batch.context)
        self[last].initialise(Batch(x, batch.context))  # nothing after it is fitted: the data goes no further

    def fitted(self) -> bool:
        return any(transform.fitted() for transform in self)


@final
class Inverse(Transform):
    """A transform turned round.

    Args:
        transform: Whose inverse is to be forward.

    Shapes: x, z, context as the transform takes them; ladj (...).
    Raises: ValueError if the transform is fitted to data.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = unfitted(transform)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform(z, context)


@final
class Flow(Density):
    """A base density seen through a transform: log p(x|c) = log p_base(z|c) + ladj.

    Args:
        transform: From data to latent space.
        base: Density of the latent z, whatever the context (which only gives `sample` its batch shape).
        normaliser: Standardises the context before anything else sees it; None without context.

    Shapes: x (*batch, *shape); context (*batch, *context_shape) or None, its lead broadcast to that of x.
    Raises: ValueError if x or the context has another shape, or the context is missing or isn't taken.
    References: Papamakarios et al. 2021, Normalizing flows for probabilistic modeling and
        inference, arXiv:1912.02762.
    """

    def __init__(self, transform: Transform, base: Density, normaliser: Transform | None = None) -> None:
        super().__init__()
        self.transform = transform
        self.base = base
        self.normaliser = normaliser
        self.shape = base.shape

    def initialise(self, batch: Batch) -> None:
        if self.normaliser is not None and batch.context is not None:
            self.normaliser.initialise(Batch(batch.context))
        self.transform.initialise(Batch(batch.x, self.normalise(batch.context)))

    def latent(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (*batch, *shape) and log |det dz/dx| (*batch,)."""
        check_shape("x", x, self.shape)
        return self.transform(x, self.normalise(context))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        z, ladj = self.latent(x, context)
        return self.base.log_prob(z) + ladj

    def rsample(self, noise: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Carry draws of the base to data space: x (*batch, *shape) and its log q (*batch,)."""
        check_shape("noise", noise, self.shape)
        x, ladj = self.transform.inverse(noise, self.normalise(context))
        return x, self.base.log_prob(noise) - ladj

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        context = self.normalise(context)
        z = self.base.sample(n, context, generator)
        return self.transform.inverse(z, context)[0]

    def sample_and_log_prob(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw n examples for each context, with their log-densities: (n, *batch, *shape) and (n, *batch).

        One pass gives both, with a gradient with respect to the parameters (reparametrised).
        """
        return self.rsample(self.base.sample(n, context, generator), context)

    def normalise(self, context: Tensor | None) -> Tensor | None:
        """The context as the transform sees it."""
        return normalise(context, self.normaliser)
