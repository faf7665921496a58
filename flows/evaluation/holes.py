"""Fields whose cells aren't all there: what is scored of them, and what stands in for the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from flows.core import Spec
from flows.masks import present


def there(spec: Spec) -> Tensor | None:
    """Which cells of x exist, bool (C, H, W); None if all do."""
    return present(spec.absent, spec.shape)


def scored(fields: Tensor, mask: Tensor | None) -> Tensor:
    """The cells that exist, (..., P) of fields (..., C, H, W); as they are if all do."""
    return fields if mask is None else fields[..., mask]


def filled(fields: Tensor, mask: Tensor | None) -> Tensor:
    """Fields (..., C, H, W) with the mean of their channel where no cell exists, for spectra alone."""
    if mask is None:
        return fields
    over = [*range(fields.dim() - 3), -2, -1]
    return torch.where(mask, fields, fields.nanmean(over, keepdim=True))
