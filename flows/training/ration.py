"""A cap on the memory that building an untrusted model may take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final
from weakref import WeakSet

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # torch has no public place for it
from torch.utils._pytree import tree_leaves

from flows.errors import UserError

LEAST = 2**10
"""Bytes that a tensor, and the module it is made for, take at least."""


@final
class Ration(TorchDispatchMode):
    """While this mode is active, live tensors may take at most `most` bytes.

    A tensor whose size is an argument is refused before it is allocated; one derived from other tensors,
    right after. So a configuration that nobody vouches for can't fill the memory.

    Args:
        most: Bytes, of which every tensor that is no view takes `LEAST` or more.

    Raises: UserError inside, as soon as it is more.

    >>> with Ration(2000):
    ...     _ = torch.zeros(100)
    ...     _ = torch.zeros(100)  # in the place of the first
    ...     _ = torch.zeros(100, 100)
    Traceback (most recent call last):
    flows.errors.UserError: model: would be larger than the weights that were saved; its configuration is \
another's
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.made: WeakSet[torch.UntypedStorage] = WeakSet()  # freed ones drop out by themselves
        self.left = most

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        size = args[0] if args and isinstance(args[0], list | tuple) else ()
        if size and all(isinstance(side, int) for side in size):
            self._see_to(math.prod(size))
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage() not in self.made:
                self.made.add(leaf.untyped_storage())
                self.left -= _bytes(leaf.untyped_storage())
        self._see_to(0)
        return made

    def _see_to(self, needed: int) -> None:
        """See that so many bytes are left."""
        if needed > self.left:  # only then count again: `left` doesn't know what has been freed
            self.left = self.most - sum(map(_bytes, self.made))
        if needed > self.left:
            raise UserError(
                "model: would be larger than the weights that were saved; its configuration is another's"
            )


def _bytes(storage: torch.UntypedStorage) -> int:
    return max(LEAST, storage.nbytes())
