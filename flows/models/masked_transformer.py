"""A transformer over features, some of them hidden, that knows each given any of the others."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from flows.core import AnySubset, Batch, Spec, check_shape, normalise
from flows.errors import UserError
from flows.heads import Head
from flows.nets import Lookup, Waves
from flows.transforms import Rescale, bounded, normaliser
from flows.types import Fraction, Narrow, Octaves, PositiveInt


@final
class MaskedTransformer(AnySubset):
    r"""p(x_d | x_S) for every feature d and every set S of others, by one net.

    Each feature is a memory, made of its value alone; a query for feature d looks at the memories of S,
    which a mask picks, and at one for the context, and its answer gives the parameters of a density. As
    memories don't see each other, p(x_d | x_S) is a function of the set S, one pass gives all D terms of a
    chain rule, and drawing keeps keys and values, in any order.

    Args:
        spec: What the data is.
        orders: The orders whose mixture `log_prob` is (K, D).
        head: What the answers say of the features' densities.
        width: Units of a token.
        heads: Attention heads.
        layers: Blocks.
        hidden: Units of a block's MLP, as a multiple of the width.
        dropout: Share of units that is left out in training.
        octaves: Sine features of a value: periods 2, 1, 1/2, … of its range.

    Shapes: x (*batch, D); context (*batch, C) or None.
    Raises: ValueError if x or the context has another shape, or the context is missing or isn't taken.
    """

    def __init__(
        self,
        spec: Spec,
        orders: Tensor,
        head: Head,
        width: int,
        heads: int,
        layers: int,
        hidden: int,
        dropout: float,
        octaves: int,
    ) -> None:
        super().__init__()
        (features,), (context,) = spec.shape, spec.context_shape or (0,)
        self.shape = spec.shape
        self.rescale = Rescale(spec)
        self.normaliser = normaliser(spec)
        self.embed = _Embedding(bounded(spec), width, octaves)
        self.always = nn.Parameter(torch.randn(width))  # what a query sees when nothing is given
        self.given = nn.Linear(context, width) if context else None  # embeds the context
        self.ask = nn.Parameter(torch.randn(features, width))
        self.net = Lookup(width, heads, layers, hidden, dropout)
        self.head = head
        self.weight = nn.Parameter(torch.zeros(features, width, self.head.params))
        self.bias = nn.Parameter(torch.zeros(features, self.head.params))
        self.register_buffer("orders", orders, persistent=False)

    def initialise(self, batch: Batch) -> None:
        self.rescale.initialise(batch)
        if self.normaliser is not None and batch.context is not None:
            self.normaliser.initialise(Batch(batch.context))

    def conditionals(self, x: Tensor, given: Tensor, context: Tensor | None = None) -> Tensor:
        check_shape("x", x, self.shape)
        features = len(self.ask)
        z, log_slope = self.rescale.each(x)
        flat = z.reshape(-1, features)
        memories = torch.cat((self._context(context, x.shape[:-1]), self.embed(flat)), 1)
        itself = torch.eye(features, dtype=torch.bool, device=x.device)
        seen = (given & ~itself).expand(*x.shape[:-1], features, features).reshape(-1, features, features)
        seen = torch.cat((torch.ones_like(seen[..., :1]), seen), -1)
        answers = self.net(self.ask.expand(len(flat), -1, -1), self.net.remember(memories), seen)
        theta = torch.einsum("bdw,dwp->bdp", answers, self.weight) + self.bias
        return self.head(theta.to(flat.dtype)).log_prob(flat).view_as(x) + log_slope

    @torch.no_grad()
    def impute(
        self,
        x: Tensor,
        observed: Tensor,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        check_shape("x", x, self.shape)
        features = len(self.ask)
        flat = torch.where(observed, x, 0.0).reshape(-1, features)
        about = self._context(context, x.shape[:-1])
        kind = torch.randint(len(self.orders), (len(flat),), generator=generator, device=x.device)
        drawn = torch.empty_like(flat)
        for k, order in enumerate(self.orders.tolist()):
            rows = kind == k
            drawn[rows] = self._fill(flat[rows], observed, order, about[rows], generator)
        return torch.where(observed, x, drawn.reshape(x.shape))

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        batch = () if context is None else context.shape[:-1]
        x = self.rescale.shift.new_zeros(n, *batch, len(self.ask))
        hidden = torch.zeros(len(self.ask), dtype=torch.bool, device=x.device)
        contexts = None if context is None else context.expand(n, *context.shape)
        return self.impute(x, hidden, contexts, generator)

    def _fill(
        self, x: Tensor, observed: Tensor, order: list[int], about: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Draw what is hidden of x (N, D), a feature at a time; what is known is remembered once."""
        z = self.rescale(x)[0]
        known = [feature for feature in order if observed[feature]]
        memories = [about, *(self.embed.one(z[:, feature], feature) for feature in known)]
        remembered = self.net.remember(torch.cat(memories, 1))
        hidden = [feature for feature in order if not observed[feature]]
        for feature in hidden:
            query = self.ask[feature].expand(len(x), 1, -1)
            answer = self.net(query, remembered)[:, 0]
            theta = torch.addmm(self.bias[feature], answer, self.weight[feature])
            z[:, feature] = self.head(theta, feature).sample(generator)
            if feature != hidden[-1]:
                new = self.net.remember(self.embed.one(z[:, feature], feature))
                remembered = torch.cat((remembered, new), -2)
        return self.rescale.inverse(z)[0]

    def _context(self, context: Tensor | None, batch: tuple[int, ...]) -> Tensor:
        """The memory that is always there: (N, 1, W)."""
        memory = self.always.expand(math.prod(batch), 1, -1)
        normal = normalise(context, self.normaliser)
        if self.given is None or normal is None:
            return memory
        return memory + self.given(normal.expand(*batch, -1)).reshape(memory.shape)


@final
class _Embedding(nn.Module):
    """Embeds a value: its waves, through a linear layer of the feature's own."""

    offset: Tensor
    size: Tensor

    def __init__(self, bounded: Tensor, width: int, octaves: int) -> None:
        super().__init__()
        self.waves = Waves(octaves)
        self.register_buffer("offset", torch.where(bounded, 0.5, 0.0), persistent=False)
        size = torch.where(bounded, 1.0, 0.125)  # eight standard deviations make a range
        self.register_buffer("size", size, persistent=False)
        bound = 1 / math.sqrt(self.waves.size)
        self.weight = nn.Parameter(torch.empty(len(bounded), self.waves.size, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.randn(len(bounded), width))

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) to (N, D, W)."""
        waves = self.waves((z - self.offset) * self.size)
        return torch.einsum("ndf,dfw->ndw", waves, self.weight) + self.bias

    def one(self, z: Tensor, feature: int) -> Tensor:
        """Values of one feature (N,) to (N, 1, W)."""
        waves = self.waves((z - self.offset[feature]) * self.size[feature])
        return torch.addmm(self.bias[feature], waves, self.weight[feature]).unsqueeze(1)


def masked_transformer(
    spec: Spec,
    width: PositiveInt = 128,
    heads: PositiveInt = 4,
    layers: PositiveInt = 4,
    hidden: PositiveInt = 4,
    dropout: Fraction = 0.1,
    components: PositiveInt = 6,
    narrowest: Narrow = 5e-4,
    octaves: Octaves = 6,
    orders: PositiveInt | list[list[str]] = 4,
) -> MaskedTransformer:
    """A transformer over the features in which a mask says which are observed.

    Args:
        spec: What the data is.
        width: Units of a token.
        heads: Attention heads; they divide the width.
        layers: Blocks.
        hidden: Units of a block's MLP, as a multiple of the width.
        dropout: Share of units that is left out in training.
        components: Plateaus in each feature's mixture.
        narrowest: Least scale of an edge, in a bounded feature's range or another's standard deviations.
        octaves: Sine features of a value: how many times its range is halved.
        orders: The orders whose mixture is the density: lists of all names, or how many. One is that of the
            names; more are that and random ones, always the same.

    Raises: UserError if x or the context isn't a vector, heads don't divide the width, or an order isn't one.
    References: Uria et al. 2014, A deep and tractable density estimator, arXiv:1310.1757; Vaswani et al.
        2017, Attention is all you need, arXiv:1706.03762.

    >>> model = masked_transformer(Spec(names=("a", "b", "c"), shape=(3,)))
    >>> model.log_prob(model.sample(7)).shape
    torch.Size([7])
    """
    features, _ = spec.vectors("model=masked_transformer")
    if width % heads:
        raise UserError(f"model.heads={heads}: has to divide model.width={width}")
    rows = _orders(features, orders) if isinstance(orders, int) else _named(spec, orders)
    head = Head(bounded(spec), components, narrowest)
    return MaskedTransformer(spec, rows, head, width, heads, layers, hidden, dropout, octaves)


def _orders(features: int, count: int) -> Tensor:
    """The order of the names, and random ones besides, all different."""
    generator = torch.Generator().manual_seed(0)
    found = {tuple(range(features)): None}
    while len(found) < min(count, math.factorial(features)):
        found[tuple(torch.randperm(features, generator=generator).tolist())] = None
    return torch.tensor([*found])


def _named(spec: Spec, orders: list[list[str]]) -> Tensor:
    if not orders:
        raise UserError("model.orders=[]: name one order at least, or give how many")
    return torch.stack([spec.places(order, "model.orders") for order in orders])
