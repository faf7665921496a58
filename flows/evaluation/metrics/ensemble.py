"""Ensembles of fields against the field that came true.

Shapes: N cases, M members; x (N, C, H, W), members (N, M, C, H, W).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CASES, FIELDS = 16, 256  # scored and transformed at once
FEW = 5  # ranks expected in a bin of the χ² test, at least


def crps(members: Tensor, x: Tensor) -> Tensor:
    """Continuous ranked probability score of each cell, fair to any number of members: (N, C, H, W).

    One member alone is a forecast without spread: its score is its distance.

    References: Ferro 2014, Fair scores for ensemble forecasts, doi:10.1002/qj.2270.

    >>> crps(torch.zeros(3, 5, 1, 4, 4), torch.zeros(3, 1, 4, 4)).shape
    torch.Size([3, 1, 4, 4])
    """
    from scoringrules import crps_ensemble

    if members.shape[1] == 1:
        return (members[:, 0] - x).abs()
    pairs = zip(x.split(CASES), members.split(CASES), strict=True)
    # "pwm" is equal to "fair", but sorts members, here side by side in memory, instead of pairing them
    scored = [
        crps_ensemble(some, each.movedim(1, -1).contiguous(), estimator="pwm", backend="torch")
        for some, each in pairs
    ]
    return torch.cat([torch.as_tensor(each) for each in scored])


def energy_score(members: Tensor, x: Tensor) -> Tensor:
    """The same of each case as a whole, in distances between fields, divided by √(C·H·W): (N,).

    By products of matrices: scoringrules holds every difference of two members, cell by cell.

    References: Gneiting and Raftery 2007, Strictly proper scoring rules, doi:10.1198/016214506000001437.
    """
    count, scored = members.shape[1], []
    for some, each in zip(x.flatten(1).split(CASES), members.flatten(2).split(CASES), strict=True):
        error = torch.cdist(each, some.unsqueeze(1)).mean((1, 2))
        apart = torch.cdist(each, each).sum((1, 2)) / max(1, count * (count - 1))
        scored.append(error - apart / 2)
    return torch.cat(scored) / math.sqrt(x[0].numel())


def spread_skill(members: Tensor, x: Tensor) -> float:
    """Spread of the members over the error of their mean, corrected for their number: 1 is perfect.

    References: Fortin et al. 2014, Why should ensemble spread match the RMSE of the ensemble mean?,
        doi:10.1175/JHM-D-14-0008.1.
    """
    count = members.shape[1]
    variance = members.var(1).mean() * (count + 1) / count
    return (variance / (members.mean(1) - x).square().mean()).sqrt().item()


def ranks(members: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
    """How many members lie below the truth, in one cell of each case: neighbours would tell the same (N,)."""
    cells = torch.randint(x[0].numel(), (len(x),), generator=generator)
    rows = torch.arange(len(x))
    return (members.flatten(2)[rows, :, cells] < x.flatten(1)[rows, cells].unsqueeze(1)).sum(1)


def rank_p(found: Tensor, members: int) -> float:
    """Chance of ranks (N,) as uneven as these, were all of 0 to `members` alike: χ², p-value.

    Neighbouring ranks share a bin, so that no bin expects fewer than five; NaN where two bins would.

    References: Hamill 2001, Interpretation of rank histograms for verifying ensemble forecasts.
    """
    from scipy.stats import chisquare

    width = math.ceil(FEW * (members + 1) / max(len(found), 1))  # ranks in each bin; the last takes the rest
    bins = (members + 1) // width
    if bins < 2:
        return math.nan
    edges = torch.tensor([*range(0, bins * width, width), members + 1])
    counts = torch.bincount(torch.bucketize(found, edges[1:], right=True), minlength=bins)
    expected = edges.diff().double() * len(found) / (members + 1)
    return float(chisquare(counts.numpy(), expected.numpy()).pvalue)


def spectrum(fields: Tensor) -> Tensor:
    """Power of fields (..., H, W) by wave number, averaged over directions and over all fields (K,).

    Wave numbers are whole waves per field, up to half the shorter side.
    """
    height, width = fields.shape[-2:]
    flat = fields.reshape(-1, height, width)
    power = torch.zeros(height, width, dtype=fields.dtype)
    for some in flat.split(FIELDS):
        power += torch.view_as_real(torch.fft.fft2(some, norm="ortho")).square().sum((0, -1)) / len(flat)
    waves = [torch.fft.fftfreq(n, 1 / min(height, width), dtype=torch.float64) for n in (height, width)]
    ring = (waves[0].square().unsqueeze(1) + waves[1].square()).sqrt().round().long()
    last = min(height, width) // 2
    total = torch.zeros(int(ring.max()) + 1, dtype=power.dtype).index_add_(0, ring.flatten(), power.flatten())
    return (total / torch.bincount(ring.flatten()).clamp(min=1))[1 : last + 1]


def spectral_distance(one: Tensor, other: Tensor) -> float:
    """Root mean square, over wave numbers, of the decibels between two spectra (K,)."""
    return (10 * (one / other).log10()).square().mean().sqrt().item()
