"""Transform each feature, given those before it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from flows.core import Spec, Transform
from flows.errors import UserError
from flows.transforms.elementwise import Elementwise


def autoregressive_sizes(spec: Spec, key: str, width: int) -> tuple[int, int]:
    """How many features x and the context have, where both are vectors and a masked net of this width fits.

    Raises: UserError, speaking of `key`, if they aren't vectors, or if there are fewer units than features.
    """
    features, context = spec.vectors(key)
    if width < features:
        raise UserError(f"model.width={width}: has to be as large as the number of features, {features}")
    return features, context


def reversing_order(features: int, layer: int) -> Tensor:
    """The features in their order for even layers, backwards for odd ones (features,).

    Both orders are their own inverse, so that they are the features' ranks too.

    >>> reversing_order(3, layer=0), reversing_order(3, layer=1)
    (tensor([0, 1, 2]), tensor([2, 1, 0]))
    """
    order = torch.arange(features)
    return order if layer % 2 == 0 else order.flip(0)


@final
class Autoregressive(Transform):
    r"""z_d = f(x_d; net(x_before d, c)). The Jacobian is triangular, so ladj sums log f'.

    Forward costs one call of `net`, inverse one for each feature.

    Args:
        order: The features in their order, a permutation of 0, …, D - 1 (D,).
        net: Maps (..., D), (..., C) to (..., elementwise.params * D); what it gives for a feature may depend
            on those before it alone.
        elementwise: Scalar bijection of every feature.

    Shapes: x, z (..., D); context (..., C) or None; ladj (...).
    References: Papamakarios et al. 2017, Masked autoregressive flow for density estimation,
        arXiv:1705.07057.

    >>> from flows.nets import MADE
    >>> from flows.transforms import Affine
    >>> z, ladj = Autoregressive(torch.arange(3), MADE(torch.arange(3), 2), Affine())(torch.zeros(7, 3))
    >>> z.shape, ladj.shape
    (torch.Size([7, 3]), torch.Size([7]))
    """

    def __init__(self, order: Tensor, net: nn.Module, elementwise: Elementwise) -> None:
        super().__init__()
        self.net = net
        self.elementwise = elementwise
        self.order: list[int] = order.tolist()

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self.net(x, context).to(x.dtype))
        return z, log_slope.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        columns = [torch.zeros_like(column) for column in z.unbind(-1)]
        ladj = torch.zeros_like(columns[0])
        for feature in self.order:
            one = slice(feature, feature + 1)
            theta = self.net(torch.stack(columns, -1), context).to(z.dtype)
            theta = theta.unflatten(-1, (self.elementwise.params, -1))[..., one].flatten(-2)
            x, log_slope = self.elementwise.inverse(z[..., one], theta, one)
            columns[feature], ladj = x[..., 0], ladj + log_slope[..., 0]
        return torch.stack(columns, -1), ladj
