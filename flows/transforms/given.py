"""Transform each feature, given the context alone."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from flows.core import Transform
from flows.transforms.elementwise import Elementwise


@final
class Given(Transform):
    r"""z = f(x; net(c)). The Jacobian is diagonal, so ladj sums log f'.

    Several in a row still act on each feature separately: given the context, features stay independent.

    Args:
        net: Maps the context to the parameters of f.
        elementwise: Scalar bijection of every feature.
        axis: Where the features lie; -3 for the channels of fields.

    Shapes: x, z (..., D), or (..., D, H, W) if axis is -3; context whatever `net` takes; ladj (...).

    >>> import torch
    >>> from flows.nets import MLP
    >>> from flows.transforms import Affine
    >>> z, ladj = Given(MLP(3, 4), Affine())(torch.zeros(7, 2), torch.zeros(7, 3))
    >>> z.shape, ladj.shape
    (torch.Size([7, 2]), torch.Size([7]))
    """

    def __init__(self, net: nn.Module, elementwise: Elementwise, axis: int = -1) -> None:
        super().__init__()
        self.net = net
        self.elementwise = elementwise
        self.event = tuple(range(axis, 0))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self.net(context).to(x.dtype))
        # one slope may serve several x
        return z, log_slope.expand_as(z).sum(self.event)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_slope = self.elementwise.inverse(z, self.net(context).to(z.dtype))
        return x, log_slope.expand_as(x).sum(self.event)
