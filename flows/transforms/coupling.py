"""Transform some features, given the others."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from flows.core import Transform
from flows.transforms.elementwise import Elementwise
from flows.transforms.partition import Partition


@final
class Coupling(Transform):
    r"""Transform the unmasked features, given the masked ones.

    z = x where the mask is True, f(x; net(x_masked, c)) elsewhere. The Jacobian is triangular, so ladj
    sums log f' where the mask is False. Each direction costs one call of `net`, in whatever precision that
    computes (autocast); the rest is in that of x.

    Args:
        mask: Features passed through unchanged, bool (D,), K of them True.
        net: Maps (..., K), (..., C) to (..., elementwise.params * (D - K)).
        elementwise: Scalar bijection of the other features.
        axis: Where the features lie; -3 for the channels of fields.

    Shapes: x, z (..., D); context (..., C) or None; ladj (...). If axis is -3 all but ladj end in (H, W).
    Raises: ValueError if the mask is all True or all False.
    References: Dinh et al. 2017, Density estimation using Real NVP, arXiv:1605.08803.

    >>> import torch
    >>> from flows.nets import MLP
    >>> from flows.transforms import Affine, alternating
    >>> z, ladj = Coupling(alternating(2), MLP(1, 2), Affine())(torch.zeros(7, 2))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    def __init__(self, mask: Tensor, net: nn.Module, elementwise: Elementwise, axis: int = -1) -> None:
        super().__init__()
        self.partition = Partition(mask, axis)
        self.event = tuple(range(axis, 0))
        self.net = net
        self.elementwise = elementwise

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, moved = self.partition.split(x)
        moved, log_slope = self.elementwise.forward(moved, self.net(kept, context).to(x.dtype))
        return self.partition.merge(kept, moved), log_slope.sum(self.event)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, moved = self.partition.split(z)
        moved, log_slope = self.elementwise.inverse(moved, self.net(kept, context).to(z.dtype))
        return self.partition.merge(kept, moved), log_slope.sum(self.event)
