"""A bound on what is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # torch has no public place for it
from torch.utils._pytree import tree_leaves

from flows.errors import UserError

_WIDEST = 8  # bytes of a number
_LEAST = 2**10  # bytes that a tensor, and the module it is made for, take besides


@final
class Ration(TorchDispatchMode):
    """Meanwhile no more tensors are made than this many bytes hold, those that are let go of counted too.

    What is asked for by its size is refused before it is made, so that a configuration that nobody vouches
    for can't fill the memory; what follows from other tensors, right after.

    Args:
        most: Bytes.

    Raises: UserError inside, as soon as it is more.

    >>> with Ration(2000):
    ...     _ = torch.zeros(100)
    ...     _ = torch.zeros(100, 100)
    Traceback (most recent call last):
    flows.errors.UserError: model: would be larger than the weights that were saved; its configuration is \
another's
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        size = args[0] if args and isinstance(args[0], list | tuple) else ()
        if all(isinstance(side, int) for side in size) and math.prod(size) > max(self.left, _WIDEST):
            self._refuse()
        made = func(*args, **(kwargs or {}))
        if func._schema.name.endswith("_"):  # in its place
            return made
        tensors = [leaf for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.left -= sum(max(_LEAST, tensor.nbytes) for tensor in tensors)
        if self.left < 0:
            self._refuse()
        return made

    def _refuse(self) -> None:
        raise UserError(
            "model: would be larger than the weights that were saved; its configuration is another's"
        )
