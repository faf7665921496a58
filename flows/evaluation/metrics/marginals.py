"""How far each coordinate alone is from the real one."""

from __future__ import annotations

from torch import Tensor

BINS = 100
FAINT = 1e-10  # what an empty bin is given


def histogram_kl(real: Tensor, drawn: Tensor) -> list[float]:
    """KL(real ‖ drawn) in nats between histograms of each coordinate.

    A hundred equal bins span the real column. Shares of the points in each, plus 1e-10, made to add up to
    one again, give p and q, and KL = Σ p log(p/q). Drawn points beyond the real ones' range fall out of
    the histogram: this figure doesn't see them, W1 does.

    Shapes: real (N, D), drawn (M, D); D numbers.
    """
    import numpy as np
    from scipy import stats

    found = []
    for p, q in zip(real.double().T.numpy(), drawn.double().T.numpy(), strict=True):
        counts, edges = np.histogram(p, BINS)
        others, _ = np.histogram(q, edges)
        shares = (each / max(each.sum(), 1) + FAINT for each in (counts, others))
        found.append(float(stats.entropy(*shares)))
    return found


def wasserstein(real: Tensor, drawn: Tensor) -> list[float]:
    """W1 of each coordinate: how far mass must move on average, in the coordinate's units.

    Between equally many points it is the mean distance of those of equal rank. (scipy's, which takes any
    sizes and weights, is ten times slower, and redraws call for it thousands of times.)

    Shapes: real (N, D), drawn (N, D); D numbers.
    References: Peyré and Cuturi 2019, Computational optimal transport, arXiv:1803.00567, remark 2.28.
    """
    import numpy as np

    ranked = (np.sort(points.double().numpy(), axis=0) for points in (real, drawn))
    return np.abs(np.subtract(*ranked)).mean(0).tolist()
