"""A density of one number, whose parameters a net supplies."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EDGES = (5e-4, 1.0)  # least and largest scale of an edge
FLATS = (3.0, 300.0)  # least and largest breadth of a plateau, in scales of its edges
FLAT = 5.0  # breadth where the net says 0


def interior(like: Tensor) -> tuple[float, float]:
    """The ends of the open unit interval, 0 and 1 moved inwards by the precision of such numbers.

    >>> interior(torch.zeros(()).double())[0] == 2**-52
    True
    """
    margin = torch.finfo(like.dtype).eps
    return margin, 1 - margin


class Plateaus(NamedTuple):
    r"""A mixture of K plateaus, each a uniform whose edges are blurred by a logistic.

    With u = (z - μ)/s, a component of centre μ, scale s and breadth b has
    p(z) = (σ(u + b/2) - σ(u - b/2)) / (b·s): flat over b·s, exponential beyond. It is divided by the mass
    that it has between the ends, where z has to lie. Its distribution function has a closed inverse, that
    of the mixture hasn't.

    Shapes: each (..., K).
    References: Salimans et al. 2017, PixelCNN++, arXiv:1701.05517, whose breadth is a level of a pixel.
    """

    log_weight: Tensor
    centre: Tensor
    log_scale: Tensor
    breadth: Tensor
    low: Tensor
    """The lower end, or -inf."""
    high: Tensor
    """The upper end, or inf."""
    below: Tensor
    """Mass of each component beyond the lower end, which is cut off."""
    above: Tensor
    """Mass beyond the upper one."""

    def log_prob(self, z: Tensor) -> Tensor:
        """(...) for z (...)."""
        u, half = self._standard(z), self.breadth / 2
        edges = F.logsigmoid(half + u) + F.logsigmoid(half - u) + torch.log(-torch.expm1(-self.breadth))
        log_p = edges - self.breadth.log() - self.log_scale - self._mass().log()
        return torch.logsumexp(self.log_weight + log_p, -1)

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mass below z and mass above it, each to its own precision."""
        below, above = _tails(self._standard(z), self.breadth)
        weight = self.log_weight.exp() / self._mass()
        return (weight * (below - self.below)).sum(-1), (weight * (above - self.above)).sum(-1)

    def quantile(self, below: Tensor, above: Tensor) -> Tensor:
        """z of these tails, by bisection: as many steps as a number has bits. Without a gradient."""
        with torch.no_grad():
            each = self._quantiles(below.unsqueeze(-1), above.unsqueeze(-1))
            low, high = each.amin(-1), each.amax(-1)
            for _ in range(round(-math.log2(torch.finfo(each.dtype).eps))):
                middle = (low + high) / 2
                less, more = self.tails(middle)
                short = torch.where(below < above, less < below, more > above)
                low, high = torch.where(short, middle, low), torch.where(short, high, middle)
            return (low + high) / 2

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw: (...)."""
        size, like = self.centre.shape[:-1], self.centre
        random = torch.rand((2, *size), generator=generator, dtype=like.dtype, device=like.device)
        edges = self.log_weight.exp().cumsum(-1)[..., :-1].contiguous()
        chosen = torch.searchsorted(edges, random[0].unsqueeze(-1), right=True)
        one = Plateaus(*(t.gather(-1, chosen) for t in self))
        below = random[1].clamp(*interior(like)).unsqueeze(-1)
        return one._quantiles(below, 1 - below).squeeze(-1)

    def _standard(self, z: Tensor) -> Tensor:
        return (z.unsqueeze(-1) - self.centre) * torch.exp(-self.log_scale)

    def _mass(self) -> Tensor:
        return 1 - self.below - self.above

    def _quantiles(self, below: Tensor, above: Tensor) -> Tensor:
        """Each component's quantile at these tails."""
        mass, tiny = self._mass(), torch.finfo(below.dtype).tiny
        rise = ((self.below + below * mass) * self.breadth).clamp(min=tiny)
        fall = ((self.above + above * mass) * self.breadth).clamp(min=tiny)
        u = (rise - fall) / 2 + torch.log(-torch.expm1(-rise)) - torch.log(-torch.expm1(-fall))
        return (self.centre + self.log_scale.exp() * u).clamp(self.low, self.high)


@final
class Head(nn.Module):
    """Reads the parameters of `Plateaus` for each of D features from what a net says.

    Bounded features have the ends 0 and 1; others are meant in standard deviations and have none. At θ = 0
    the components are spread evenly.

    Args:
        bounded: Features that live in (0, 1), bool (D,).
        components: K.
        narrowest: Least scale of an edge.

    Shapes: theta (..., D, params), of one feature (..., params).
    References: Bishop 1994, Mixture density networks, Aston University NCRG/94/004.

    >>> head = Head(torch.tensor([True, False]), components=4)
    >>> head(torch.zeros(7, 2, head.params)).log_prob(torch.rand(7, 2)).shape
    torch.Size([7, 2])
    """

    bounded: Tensor
    centres: Tensor
    start: Tensor

    def __init__(self, bounded: Tensor, components: int = 6, narrowest: float = EDGES[0]) -> None:
        super().__init__()
        self.edges = (narrowest, EDGES[1])
        self.params = 4 * components
        middles = (torch.arange(components) + 0.5) / components
        centres = torch.where(bounded.unsqueeze(-1), middles.logit(), torch.special.ndtri(middles))
        start = torch.where(bounded, 0.25, 1.0).unsqueeze(-1) / components
        self.register_buffer("bounded", bounded, persistent=False)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("start", start, persistent=False)

    def forward(self, theta: Tensor, which: int | slice = slice(None)) -> Plateaus:
        """The mixtures of all features, or of one, or of a slice of them."""
        weight, centre, scale, breadth = theta.chunk(4, dim=-1)
        bounded = self.bounded[which].unsqueeze(-1)
        centre = centre + self.centres[which]
        centre = torch.where(bounded, centre.sigmoid(), centre)
        log_scale = _between(scale, self.edges, self.start[which])
        breadth = _between(breadth, FLATS, torch.full_like(self.start[which], FLAT)).exp()
        inverse, (low, high) = torch.exp(-log_scale), (theta.new_full((), end) for end in interior(theta))
        inside = torch.where(bounded, centre, 0.5)  # finite, whatever an unbounded centre is
        below, _ = _tails(-inside * inverse, breadth)
        _, above = _tails((1 - inside) * inverse, breadth)
        return Plateaus(
            weight.log_softmax(-1),
            centre,
            log_scale,
            breadth,
            torch.where(bounded, low, -torch.inf).expand_as(centre),
            torch.where(bounded, high, torch.inf).expand_as(centre),
            torch.where(bounded, below, 0.0),
            torch.where(bounded, above, 0.0),
        )


def _between(raw: Tensor, ends: tuple[float, float], start: Tensor) -> Tensor:
    """The logarithm of a number between two ends; raw = 0 gives `start`, or as near as they allow."""
    low, high = (math.log(end) for end in ends)
    share = ((start.log() - low) / (high - low)).clamp(0.01, 0.99)
    return low + (high - low) * torch.sigmoid(share.logit() + raw * 4 / (high - low))


def _tails(u: Tensor, breadth: Tensor) -> tuple[Tensor, Tensor]:
    """Mass of a plateau below and above u, without ends: the smaller one is computed, the other is the rest.

    Computed directly, the larger one would be a difference of large numbers, whose rounding isn't monotone.
    """
    half, away = breadth / 2, u.abs()
    less = (F.logsigmoid(half + away) - F.logsigmoid(away - half)) / breadth
    return torch.where(u < 0, less, 1 - less), torch.where(u < 0, 1 - less, less)
