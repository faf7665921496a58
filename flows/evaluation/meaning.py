"""What each number means, and the table that shows it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flows.evaluation.tabular import aligned

PARTS = (
    "low",
    "high",
    "floor",
    "floor_99",
    "floor_low",
    "floor_high",
    "train",
    "train_floor",
    "train_floor_99",
    "exact",
    "exact_low",
    "exact_high",
    "climatology",
    "interpolation",
)
"""What a key's parts end in: `nll_low` belongs to `nll`."""

LISTED = 8  # most features or channels with rows of their own
_POOLED = ("crps", "mae", "rmse", "energy_score")  # which several channels share, each in a unit of its own


class Meaning(NamedTuple):
    """How a metric is called and read by people."""

    label: str
    unit: str
    text: str


MEANINGS = {
    "test_points": Meaning("Test points", "", "Held-out examples that the numbers below are taken over."),
    "lost_draws": Meaning(
        "Lost draws",
        "share",
        "Draws that hold a number that isn't finite. Comparisons with data that meet one are left out.",
    ),
    "nll": Meaning(
        "Negative log-likelihood",
        "nats",
        "Mean of −log p over the test points, in the data's units; on a lattice, of points spread over "
        "their cells. Lower is better; the floor is the truth's own. A model well below the floor on "
        "training points has learnt them by heart.",
    ),
    "bits_per_dim": Meaning(
        "Bits per feature",
        "bits",
        "The same as a bound on the code length of the discrete data: −log₂ of a cell's probability, shared "
        "among the features. Lower is better.",
    ),
    "kl_to_truth": Meaning(
        "KL to the truth",
        "nats",
        "Mean of log p_true − log p_model over the test points: what is lost against the true density. "
        "Zero is perfect; an interval wholly below zero is a bug.",
    ),
    "nll_per_dim": Meaning(
        "Negative log-likelihood, each",
        "nats",
        "The same by cell and channel, so that fields of any size compare.",
    ),
    "nll_gap": Meaning(
        "KL to the truth, each", "nats", "What is lost against the true density, by cell and channel."
    ),
    "cases": Meaning(
        "Cases",
        "",
        "Held-out fields that ensembles are drawn for: fewer where they or the ensembles are large.",
    ),
    "crps": Meaning(
        "CRPS",
        "data units",
        "Continuous ranked probability score of an ensemble, cell by cell: the error of a forecast that "
        "says how sure it is. Lower is better; the floor is where 99 of 100 ensembles of the true law lie. "
        "Several channels count in standard deviations of the training fields, in the next scores too.",
    ),
    "crps_<name>": Meaning("CRPS of {}", "data units", "The same of this channel alone, in its own units."),
    "energy_score": Meaning(
        "Energy score",
        "data units",
        "The same of whole fields, by the root of their size: members that are right in each cell but not "
        "together score worse.",
    ),
    "mae": Meaning("Mean error", "data units", "Mean distance of the ensemble's mean from what came true."),
    "mae_<name>": Meaning("Mean error of {}", "data units", "The same of this channel, in its own units."),
    "rmse": Meaning("Root mean square error", "data units", "The same, squared before it is averaged."),
    "rmse_<name>": Meaning(
        "Root mean square error of {}", "data units", "The same of this channel alone, in its own units."
    ),
    "spread_skill": Meaning(
        "Spread over skill",
        "ratio",
        "Spread of the members over the error of their mean, corrected for their number. 1 is right; below "
        "it the model is surer than it should be.",
    ),
    "spread_skill_<name>": Meaning("Spread over skill of {}", "ratio", "The same of this channel alone."),
    "rank_chi2_p": Meaning(
        "Ranks",
        "p-value",
        "Whether what came true has every rank among the members alike, in one cell of each case (χ²). Small "
        "means that it hasn't; members of the true law get any value alike.",
    ),
    "log_spectral_distance": Meaning(
        "Distance of spectra",
        "dB",
        "Root mean square, over wave numbers, between the power of members and of what came true; of several "
        "channels, their mean.",
    ),
    "log_spectral_distance_<name>": Meaning("Distance of spectra of {}", "dB", "The same of this channel."),
    "nll_order_spread": Meaning(
        "Spread over orders",
        "nats",
        "Between the best and the worst order of the features in the chain rule, of the mean negative "
        "log-likelihood of up to 1,000 points: all orders of up to five features, else 24 random ones. Zero "
        "where the conditionals belong to one density.",
    ),
    "mmd": Meaning(
        "MMD², σ = 0.1",
        "",
        "Squared maximum mean discrepancy between draws and test points under a Gaussian kernel with "
        "σ = 0.1 in data units, each point meeting itself too. Lower is better; the floor is a perfect "
        "model's at the same size.",
    ),
    "mmd_median": Meaning(
        "MMD², median σ",
        "",
        "The same with features in standard deviations, and for σ their median distance.",
    ),
    "mmd_median_p": Meaning(
        "MMD², chance",
        "p-value",
        "Share of random exchanges of draws and test points that lie at least as far apart, of 199 and "
        "what was found. Small means that the two differ; a perfect model gets any value alike.",
    ),
    "sample_energy_distance": Meaning(
        "Sample energy distance",
        "",
        "How far draws of the model are from test points, features in standard deviations. Lower is "
        "better; the floor is a perfect model's at the same size.",
    ),
    "c2st": Meaning(
        "Classifier accuracy",
        "share",
        "How often boosted trees tell draws from test points that they haven't seen. 0.5 is chance, so "
        "perfect; 1 means that every draw gives itself away.",
    ),
    "precision": Meaning(
        "Precision",
        "share",
        "Draws that lie where test points do: within reach of one's fifth neighbour. The floor is a perfect "
        "model's, which is best; below it, draws lie where nothing should be.",
    ),
    "recall": Meaning(
        "Recall",
        "share",
        "Test points that lie where draws do. The floor is a perfect model's, which is best; below it, "
        "draws leave out something.",
    ),
    "w1_mean": Meaning(
        "W1, mean", "data units", "Mean of the features' Wasserstein distances. Lower is better."
    ),
    "w1_worst": Meaning("W1, worst", "data units", "Largest of the features' Wasserstein distances."),
    "w1_<name>": Meaning(
        "W1 of {}",
        "data units",
        "How far this feature of the draws would have to be moved, on average, to be distributed as that of "
        "test points. The floor is a perfect model's mean and 99th percentile.",
    ),
    "kl_mean": Meaning("KL, mean", "nats", "Mean of the features' KL between histograms. Lower is better."),
    "kl_worst": Meaning("KL, worst", "nats", "Largest of the features' KL between histograms."),
    "kl_<name>": Meaning(
        "KL of {}",
        "nats",
        "From test points to draws, between histograms of this feature with 100 bins over the test points' "
        "range; draws beyond it don't count. The floor is a perfect model's mean and 99th percentile.",
    ),
    "memorisation_z": Meaning(
        "Closeness to training",
        "z",
        "Whether draws are nearer to training points than test points are (Mann–Whitney). About zero is "
        "right, the floor is a perfect model's range. Far below it, draws repeat training points, or crowd "
        "where these are dense: the next line tells which.",
    ),
    "nearest_train": Meaning(
        "Nearest is training",
        "share",
        "Draws whose nearest real point is a training point and not a test point. The floor is what chance "
        "gives to any model, good or bad, that doesn't repeat training points: its mean and 99th percentile.",
    ),
    "copied": Meaning(
        "Copied",
        "share",
        "Draws that coincide with any of the training points. The floor is the share of test points that do.",
    ),
    "latent_energy_distance": Meaning(
        "Latent energy distance",
        "",
        "How far the latents of test points are from standard Gaussian draws. The floor is as many "
        "Gaussian draws against Gaussian draws.",
    ),
    "sample_chi2_p": Meaning(
        "Samples against density",
        "p-value",
        "χ² of samples against the model's own density on a grid. Below 0.001, the two disagree.",
    ),
    "truth_ratio": Meaning(
        "Truth over model",
        "ratio",
        "Mean of p_true / p_model over samples of the model: 1 where its samples follow its density and "
        "reach all of the truth. It says nothing of how close the two are; KL does. Of fields it is left out "
        "where KL is a nat or more: a few draws then carry the mean.",
    ),
}


class Row(NamedTuple):
    """One metric with what belongs to it, as text; an absent part is empty.

    Args:
        key: Name of the metric.
        meaning: How people read it.
        value: Against held-out points.
        interval: Of the value, 95 %.
        floor: What a perfect model scores; its mean, or mean and 99th percentile, or range.
        train: The value against training points.
        train_floor: What a perfect model scores there, where that isn't the floor.
        climatology: What training fields score, whatever the context.
        interpolation: What the context scores, taken for the field.
    """

    key: str
    meaning: Meaning
    value: str
    interval: str
    floor: str
    train: str
    train_floor: str
    climatology: str = ""
    interpolation: str = ""


def meaning(key: str) -> Meaning:
    """What a key means; the key itself where nothing is known of it.

    >>> meaning("kl_petal width").label
    'KL of petal width'
    """
    if key in MEANINGS:
        return MEANINGS[key]
    stem = _stem(key)
    if stem is None:
        return Meaning(key, "", "")
    known = MEANINGS[f"{stem}_<name>"]
    return known._replace(label=known.label.format(key.removeprefix(f"{stem}_")))


def _stem(key: str) -> str | None:
    """The score of which this key is that of one feature; None if it is that of none."""
    if key in MEANINGS:
        return None
    stems = (known.removesuffix("_<name>") for known in MEANINGS if known.endswith("_<name>"))
    return next((stem for stem in stems if key.startswith(f"{stem}_")), None)


def listed(keys: Sequence[str]) -> list[str]:
    """Keys that a table for people has: of more than eight features or channels, none of single ones.

    >>> listed(["w1_mean", "w1_a", "w1_b"]), listed(["w1_mean", *(f"w1_{k}" for k in range(9))])
    (['w1_mean', 'w1_a', 'w1_b'], ['w1_mean'])
    """
    features = Counter(map(_stem, keys))
    return [key for key in keys if (stem := _stem(key)) is None or features[stem] <= LISTED]


def distinct(names: Sequence[str], beside: Sequence[str]) -> bool:
    """Whether `score_name` of each name is a key of its own, and passes for no part of another.

    Args:
        names: Of features or channels.
        beside: What else follows the score in keys, such as `_mean`; "" for the score itself.

    >>> distinct(["u", "low"], ["_mean"]), distinct(["u", "low"], [""]), distinct(["u", "u_low"], ["_mean"])
    (True, False, False)
    """
    stems = [*beside, *(f"_{name}" for name in names)]
    keys = [stem + end for stem in stems for end in ("", *(f"_{part}" for part in PARTS))]
    return len(set(keys)) == len(keys)


def number(value: float) -> str:
    """A value as people read it: four decimals, two digits where it is small, none where it is a count.

    >>> number(20000.0), number(0.01234), number(0.00001234), number(1.5e60), number(float("nan"))
    ('20,000', '0.0123', '1.2e-05', '1.5e+60', '—')
    """
    if not math.isfinite(value):
        return "—" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if abs(value) >= 1e9:
        return f"{value:.2g}"
    if value == round(value) and abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 1e-2 or value == 0 else f"{value:.2g}"


def rows(metrics: Mapping[str, float]) -> list[Row]:
    """The metrics in the order they were measured, each joined by its interval, floor and training figure.

    Of more than eight features or channels those of single ones are left out: a table for people.

    >>> [(row.key, row.interval) for row in rows({"nll": 1.0, "nll_low": 0.5, "nll_high": 1.5})]
    [('nll', '0.5000 to 1.5000')]
    """
    parts = {f"{key}_{part}" for key in metrics for part in PARTS}
    keys = [key for key in metrics if key not in parts]
    several = any(_stem(key) == "crps" for key in keys)
    table = []
    for key in listed(keys):
        given = {part: number(metrics[f"{key}_{part}"]) for part in PARTS if f"{key}_{part}" in metrics}
        floor = _range(given, "floor", "floor_99") or _range(given, "floor_low", "floor_high")
        exact = ", ".join(filter(None, (given.get("exact"), _range(given, "exact_low", "exact_high"))))
        floor = floor or exact
        train_floor = _range(given, "train_floor", "train_floor_99")
        interval, train = _range(given, "low", "high"), given.get("train", "")
        simple = (given.get("climatology", ""), given.get("interpolation", ""))
        means = meaning(key)
        if several and key in _POOLED:
            means = means._replace(unit="standard deviations")
        row = Row(key, means, number(metrics[key]), interval, floor, train, train_floor, *simple)
        table.append(row)
    return table


def text(metrics: Mapping[str, float]) -> str:
    """The table for a terminal, one metric a line, columns aligned; those that nothing fills are left out."""
    head = ("metric", "value", "95 % interval", "floor", "train", "train floor")
    lines = [(*head, "climatology", "interpolation")]
    lines += [(row.key, *row[2:]) for row in rows(metrics)]
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    return aligned([*zip(*columns, strict=True)], left=1)


def _range(given: Mapping[str, str], one: str, other: str) -> str:
    return " to ".join(given[part] for part in (one, other) if part in given)
