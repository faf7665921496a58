"""BENCHMARKS.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from the results by name."""
    steps, startup, moons, first = (
        found[name]["results"] for name in ("steps", "startup", "moons", "moons_first")
    )
    attention = found["attention"]["results"]
    at = found["steps"]["conditions"]
    ratios = steps["flowlab_as_fraction_of"]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Measured by `make bench` on {at['date']}: {at['processor']}, {at['cores']} cores, "
            f"Python {at['python']}, torch {at['torch']}, zuko {at['zuko']}, nflows {at['nflows']}.",
            "The numbers, with the conditions of each, are in `benchmarks/results/`.",
            "",
            "## A training step",
            "",
            "RealNVP in the plane, 8 affine couplings of 2 × 64 relu units, batch 256. Contenders take",
            "turns; medians over rounds, each at the thread count it is fastest with. Peers run a plain step",
            "(loss, backward, Adam); ours also clips, averages, guards and logs.",
            "",
            *_table(
                ("", "ms a step", "flowlab takes"),
                (
                    (name, f"{value:.2f}", f"{ratios[name]:.2f} ×" if name in ratios else "")
                    for name, value in steps["milliseconds"].items()
                ),
            ),
            "",
            "## Distance to the truth",
            "",
            "The default run on two moons (noise 0.05, 30,000 points), `train.py` then `evaluate.py` as a",
            "user calls them: KL(truth ‖ model) in nats on 20,000 test points, with its 95 % interval.",
            "",
            *_table(
                ("budget", "seed", "training", "steps", "KL to truth", "interval"),
                (
                    (
                        f"{row['budget_seconds']} s",
                        str(row["seed"]),
                        f"{row['seconds']:.1f} s",
                        f"{row['steps']:,}",
                        f"{row['kl_to_truth']:.4f}",
                        f"{row['kl_to_truth_low']:.4f} – {row['kl_to_truth_high']:.4f}",
                    )
                    for row in moons["runs"]
                ),
            ),
            "",
            "Medians: "
            + ", ".join(f"{value:.4f} after {name}" for name, value in moons["median_kl_to_truth"].items())
            + ".",
            "",
            "These seeds were measured once before, when a budget in seconds was overrun by up to 6 %; that",
            "measurement is in `benchmarks/results/moons_first.json`: medians "
            + ", ".join(f"{value:.4f} after {name}" for name, value in first["median_kl_to_truth"].items())
            + f", worst seed {max(row['kl_to_truth'] for row in first['runs']):.4f}.",
            "",
            *_points(found["points"]["results"]["medians"]),
            *_fields(found["fields"]["results"]["medians"]),
            *_adversary(found["adversary"]["results"]),
            "## The masked transformer and its matrix products",
            "",
            "The default model on points of five features, batch 256, one thread. Ours trains (dropout,",
            "clipping, averaging, guard, AdamW) and draws; the products are those of the same shapes alone.",
            "",
            *_table(
                ("", "ms", "products, ms", "ratio"),
                (
                    (
                        label,
                        f"{attention['milliseconds'][key]:.0f}",
                        f"{attention['milliseconds'][f'{key}, products']:.0f}",
                        f"{attention['ratio'][key]:.2f}",
                    )
                    for key, label in (("step", "a training step"), ("draws", "5,000 draws"))
                ),
            ),
            "",
            "## Start-up",
            "",
            *_table(
                ("command", "seconds"),
                ((f"`{name}`", f"{value:.2f}") for name, value in startup["seconds"].items()),
            ),
            "",
        ]
    )


PICTURES = {
    "pi": "the drawn π, of known law",
    "china": "scikit-learn's china.jpg",
    "flower": "scikit-learn's flower.jpg",
    "hopper": "matplotlib's grace_hopper.jpg",
}


def _points(medians: Iterable[Mapping[str, Any]]) -> list[str]:
    """A table for each picture."""
    rows = list(medians)
    lines = [
        "## Points of pictures",
        "",
        "5,000 points (x, y, r, g, b), 3,500 to train on, 500 to validate, 1,000 to test; medians over",
        "seeds, each of weights and data alike. NLL is in nats and data units; W1 the mean over",
        "coordinates. MMD, KL and W1 compare 1,000 draws with the test points, means over 3, 9 and 9",
        "times; in brackets what other real points reach. Every run is in",
        "`benchmarks/results/points_runs.json`.",
        "",
    ]
    for picture, told in PICTURES.items():
        lines += [f"### {picture}: {told}", ""]
        head = ("", "seeds", "training", "NLL", "above the truth", "MMD", "KL x", "KL y", "W1")
        here = [row for row in rows if row["picture"] == picture]
        lines += [*_table(head, (_line(row) for row in here)), ""]
        for row in here:
            lines += _besides(row)
    return lines


FIELDS = {
    "easy": "32 × 32 cells, ν = 1, means of 4 × 4 cells seen",
    "hard": "ν = 1.5, means of 8 × 8 cells seen",
    "small": "as easy, 8 × 8 cells",
    "warped": "as easy, each cell then through sinh(asinh(x) + 1)",
}


def _fields(medians: Iterable[Mapping[str, Any]]) -> list[str]:
    """A table of likelihoods, one of ensembles."""
    rows = list(medians)
    head = ("fields", "contender", "seeds", "training", "steps", "NLL a cell", "above the law", "worst seed")
    gaps = (
        (
            *(row["setting"], row["contender"], str(row["seeds"]), f"{row['seconds']:.0f} s"),
            *(f"{row['steps']:,.0f}", f"{row['nll_per_dim']:.4f}"),
            *(f"{row[key]:.4f}" for key in ("nll_gap", "nll_gap_worst")),
        )
        for row in rows
    )
    judged = (
        "fields",
        "contender",
        "CRPS above the law's",
        "spread–skill (99 % of the law's)",
        "spectrum, dB",
    )
    scores = (
        (
            *(row["setting"], row["contender"], f"{100 * (row['crps'] / row['crps_exact'] - 1):.2f} %"),
            f"{row['spread_skill']:.3f} "
            f"({row['spread_skill_exact_low']:.3f} – {row['spread_skill_exact_high']:.3f})",
            f"{row['log_spectral_distance']:.2f} ({row['log_spectral_distance_exact']:.2f})",
        )
        for row in rows
    )
    return [
        "## Fields of known law",
        "",
        "Gaussian random fields given noisy block means of them, `train.py` then `evaluate.py` on one",
        "thread; medians over seeds, each of weights and data alike. Nats a cell; in brackets what the law",
        "itself scores.",
        "",
        *(f"- {name}: {told}." for name, told in FIELDS.items()),
        "",
        *_table(head, gaps),
        "",
        *_table(judged, scores),
        "",
        "Every run is in `benchmarks/results/fields_runs.json`.",
        "",
    ]


def _adversary(result: Mapping[str, Any]) -> list[str]:
    rows = (
        (
            name,
            f"{value:.0f}",
            *(f"{result['parameters'][name][player]:,}" for player in ("model", "critic")),
        )
        for name, value in result["milliseconds"].items()
    )
    return [
        "## A step of WGAN-GP",
        "",
        "One turn of the critic and one of the generator, on 8 fields of 32 × 32 cells, 10 channels given 6,",
        "beside the original's diagonal layers and critic at as many parameters, each at its best thread",
        f"count: {result['flowlab_as_fraction_of_original']:.2f} of its time.",
        "",
        *_table(("", "ms a step", "parameters of the generator", "of the critic"), rows),
        "",
    ]


def _besides(row: Mapping[str, Any]) -> list[str]:
    """What the table has no column for."""
    said = []
    if row.get("nll_order_spread") is not None:
        said.append(f"the best and the worst of all 120 orders differ by {row['nll_order_spread']:.2f} nats")
    if row.get("colour_gap") is not None:
        said.append(f"of colours at a place {row['colour_gap']:.3f} nats are lost")
    return [f"- {row['contender']}: {'; '.join(said)}.", ""] if said else []


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    def beside(key: str, digits: int) -> str:
        floor = row.get(f"{key}_floor")
        return f"{row[key]:.{digits}f}" + ("" if floor is None else f" ({floor:.{digits}f})")

    nll, gap = row.get("nll"), row.get("kl_to_truth")
    return (
        row["contender"],
        str(row["seeds"]),
        f"{row['seconds']:.0f} s",
        "none" if nll is None else f"{nll:.3f}",
        "" if gap is None else f"{gap:.3f}",
        beside("mmd", 4),
        *(beside(key, 3) for key in ("kl_x", "kl_y", "w1_mean")),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
