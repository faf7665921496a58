"""A context that is typed on the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flows.core import Spec
from flows.errors import UserError


def typed_context(context: Sequence[float] | None, spec: Spec) -> Tensor | None:
    """`context=[…]` as one context, float64 (C,); None where the model takes none.

    Raises: UserError if there are more or fewer numbers than the model takes, or one isn't finite.
    """
    given = [*(context or ())]
    if not spec.context_names and context is not None:
        raise UserError(f"context={given}: this run's model takes no context")
    if spec.context_names and spec.context_shape != (len(given),):
        names = ", ".join(spec.context_names)
        raise UserError(f"context={given}: this run's contexts are [{names}], a value for each")
    if not all(map(math.isfinite, given)):
        raise UserError(f"context={given}: expected finite numbers")
    return torch.tensor(given, dtype=torch.float64) if given else None
