"""Small measured data sets that come with scikit-learn, one short function each.

All were recorded to so many decimals, and a density of numbers that recur can grow without bound. So each
feature is a lattice, its step the last decimal that more than 1 in 100 of its values need; the few with
more are rounded to it. A recorded value is the lower corner of its cell, as on any lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from data.points import Points
from data.recorded import decimals
from flows.core import Spec
from flows.types import Fraction, Seed


def iris(labels: bool = False, val: Fraction = 0.1, test: Fraction = 0.2, seed: Seed = 0) -> Points:
    """150 irises: length and width of sepals and petals in cm, on a lattice of 0.1.

    Args:
        labels: Give the species as context, one-hot.

    References: Fisher 1936, The use of multiple measurements in taxonomic problems.

    >>> iris().source("train").take(slice(None)).x.shape
    torch.Size([105, 4])
    """
    from sklearn.datasets import load_iris

    species = ("setosa", "versicolor", "virginica")
    return _points(load_iris(), (val, test, seed), "species", species, labels)


def wine(labels: bool = False, val: Fraction = 0.1, test: Fraction = 0.2, seed: Seed = 0) -> Points:
    """178 wines of one region: 13 chemical measurements, on lattices of 0.01 to 1.

    Args:
        labels: Give the cultivar as context, one-hot.

    References: Aeberhard & Forina 1991, Wine, doi:10.24432/C5PC7J.

    >>> wine().source("train").take(slice(None)).x.shape
    torch.Size([124, 13])
    """
    from sklearn.datasets import load_wine

    return _points(load_wine(), (val, test, seed), "cultivar", range(3), labels)


def breast_cancer(labels: bool = False, val: Fraction = 0.1, test: Fraction = 0.2, seed: Seed = 0) -> Points:
    """569 breast tumours: mean, error and worst of 10 measures of their nuclei, on lattices of 1e-6 to 0.1.

    Args:
        labels: Give malignant or benign as context, one-hot.

    References: Wolberg et al. 1993, Breast Cancer Wisconsin (Diagnostic), doi:10.24432/C5DW2B.

    >>> breast_cancer().source("train").take(slice(None)).x.shape
    torch.Size([398, 30])
    """
    from sklearn.datasets import load_breast_cancer

    return _points(load_breast_cancer(), (val, test, seed), "tumour", ("malignant", "benign"), labels)


def diabetes(val: Fraction = 0.1, test: Fraction = 0.2, seed: Seed = 0) -> Points:
    """442 diabetics as measured: age, sex (1 or 2), body-mass index, blood pressure, six values of the blood.

    On lattices of 0.0001 to 1, that of sex on [1, 3), the others without bounds. How the disease went on,
    which regressions predict, is left out.

    References: Efron et al. 2004, Least angle regression, arXiv:math/0406456.

    >>> diabetes().source("train").take(slice(None)).x.shape
    torch.Size([310, 10])
    """
    from sklearn.datasets import load_diabetes

    return _points(load_diabetes(scaled=False), (val, test, seed), support={"sex": (1.0, 3.0)})


def digits(labels: bool = False, val: Fraction = 0.1, test: Fraction = 0.2, seed: Seed = 0) -> Points:
    """1797 handwritten digits of 8 by 8 pixels, each an integer from 0 to 16; some are always 0.

    Args:
        labels: Give the digit as context, one-hot.

    References: Alpaydin & Kaynak 1998, Optical recognition of handwritten digits, doi:10.24432/C50P49.

    >>> digits().source("train").take(slice(None)).x.shape
    torch.Size([1258, 64])
    """
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    support = dict.fromkeys(data.feature_names, (0.0, 17.0))
    return _points(data, (val, test, seed), "digit", range(10), labels, support)


def _points(
    data: Any,
    split: tuple[float, float, int],
    kind: str | None = None,
    levels: Sequence[Any] = (),
    labels: bool = False,
    support: dict[str, tuple[float, float]] | None = None,
) -> Points:
    """What scikit-learn has loaded, on its lattices; coloured by the kind, and given it if asked for."""
    names = tuple(map(str, data.feature_names))
    digits = [decimals(column) for column in data.data.T]
    columns = [np.round(column, places) for column, places in zip(data.data.T, digits, strict=True)]
    classes = None if kind is None else torch.from_numpy(data.target).long()
    context = torch.nn.functional.one_hot(classes).double() if labels and classes is not None else None
    spec = Spec(
        names=names,
        shape=(len(names),),
        context_names=tuple(f"{kind}={level}" for level in levels) if labels else (),
        context_shape=(len(levels),) if labels else None,
        support=tuple(map(support.get, names)) if support else None,
        quantum=tuple(10.0**-places for places in digits),
        dtypes=tuple("float64" if places else "int64" for places in digits),
    )
    return Points(torch.from_numpy(np.stack(columns, axis=1)), spec, *split, context, classes)
