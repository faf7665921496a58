"""Mix the channels of each cell by a matrix."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import final

import torch
from torch import Tensor, nn

from flows.core import Transform


def haar(channels: int) -> Tensor:
    """The orthonormal matrix that makes means and differences of 2 × 2 blocks: (4C, 4C).

    Of `Squeeze`'s channels it makes, C each: sums over two (twice the mean), upper less lower, left less
    right, and the differences along the diagonals. Its entries are exact: 0 and ±½.

    >>> haar(3).shape
    torch.Size([12, 12])
    """
    signs = [[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]
    return torch.kron(torch.tensor(signs) / 2, torch.eye(channels))


@final
class Mixing(Transform):
    """z = W x in each cell, W = L U Q: L unit lower, U upper triangular, both learned, Q fixed.

    W starts as Q. Where a cell lacks any of its channels, it is left as it is.

    Args:
        start: Q, orthonormal (K, K).
        whole: Which cells have all their channels, bool (H, W).

    Shapes: x, z (..., K, H, W); ladj (...).
    References: Kingma and Dhariwal 2018, Glow: generative flow with invertible 1 × 1 convolutions,
        arXiv:1807.03039.

    >>> z, ladj = Mixing(haar(1), torch.ones(3, 5).bool())(torch.zeros(7, 4, 3, 5))
    >>> z.shape, ladj.shape
    (torch.Size([7, 4, 3, 5]), torch.Size([7]))
    """

    start: Tensor
    whole: Tensor

    def __init__(self, start: Tensor, whole: Tensor) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.zeros_like(start))  # L below; U above; on it log of U's diagonal
        self.cells = int(whole.sum())
        self.partial = self.cells < whole.numel()
        self.register_buffer("start", start.clone(), persistent=False)
        self.register_buffer("whole", whole.clone(), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        with _exact(x.device):
            return self._mix(lower @ upper @ self.start, x), self._ladj(x, 1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        unit = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        solved = torch.linalg.solve_triangular(lower, unit, upper=False)
        solved = torch.linalg.solve_triangular(upper, solved, upper=True)
        with _exact(z.device):
            return self._mix(self.start.T @ solved, z), self._ladj(z, -1)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        """L and U."""
        unit = torch.ones_like(self.factors[0]).diag()
        return self.factors.tril(-1) + unit, self.factors.triu(1) + self.factors.diagonal().exp().diag()

    def _mix(self, matrix: Tensor, x: Tensor) -> Tensor:
        mixed = (matrix @ x.flatten(-2)).view_as(x)
        return torch.where(self.whole, mixed, x) if self.partial else mixed

    def _ladj(self, x: Tensor, sign: int) -> Tensor:
        return (sign * self.cells * self.factors.diagonal().sum()).expand(x.shape[:-3])


def _exact(device: torch.device) -> AbstractContextManager[object]:
    """Keeps autocast, which is for nets, from rounding the latent."""
    known = device.type in ("cpu", "cuda")  # compiled code can't ask torch about a device
    return torch.autocast(device.type, enabled=False) if known else nullcontext()
