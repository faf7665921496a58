"""BENCHMARKS.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, from the results by name."""
    steps, startup, moons, first = (
        found[name]["results"] for name in ("steps", "startup", "moons", "moons_first")
    )
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
            "## Start-up",
            "",
            *_table(
                ("command", "seconds"),
                ((f"`{name}`", f"{value:.2f}") for name, value in startup["seconds"].items()),
            ),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
