"""Encode the context once, for all that follows."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from flows.core import Transform, unfitted


@final
class Guided(Transform):
    """A transform that sees features of the context in its place.

    Args:
        encode: Maps a context (..., C, H, W) to features; without a context it is given one of no channels.
        transform: Given these features.

    Shapes: x, z (..., D, H, W); context (..., C, H, W) or None; ladj (...).
    Raises: ValueError if the transform is fitted to data.

    >>> import torch
    >>> from flows.nets import ConvNet
    >>> from flows.transforms import Affine, Given
    >>> guided = Guided(ConvNet(3, 8), Given(ConvNet(8, 2), Affine(axis=-3), axis=-3))
    >>> z, ladj = guided(torch.zeros(7, 1, 4, 5), torch.zeros(7, 3, 4, 5))
    >>> z.shape, ladj.shape
    (torch.Size([7, 1, 4, 5]), torch.Size([7]))
    """

    def __init__(self, encode: nn.Module, transform: Transform) -> None:
        super().__init__()
        self.encode = encode
        self.transform = unfitted(transform)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform(x, self._features(x, context))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(z, self._features(z, context))

    def _features(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.encode(x.new_empty(0, *x.shape[-2:]) if context is None else context)
