"""Training steps on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sections.steps import TOLD
from benchmarks.sections.table import table


def section(results: Mapping[str, Any]) -> list[str]:
    """Experiments plain and captured, batches of runs, and the peers."""
    alone = results["members"]["1"]
    lines = [
        "## On a GPU",
        "",
        f"A training step on one {results['card']}; one of WGAN-GP is six turns. Captured, which is what",
        "`runtime=cuda` does: a turn's kernels are recorded once and started by one call.",
        "",
        *table(
            ("", "plain, ms", "captured, ms", "captured ÷ plain"),
            (
                (
                    name,
                    f"{found['plain']:.2f}",
                    f"{found['captured']:.2f}",
                    f"{found['captured'] / found['plain']:.2f}",
                )
                for name, found in results["experiments"].items()
            ),
        ),
        "",
        "Runs of RealNVP on moons that train together:",
        "",
        *table(
            ("runs", "ms per step of all", "÷ one run's"),
            ((members, f"{each:.2f}", f"{each / alone:.2f}") for members, each in results["members"].items()),
        ),
        "",
        "Beside the peers, as in the tables above; ours and the matrix products are captured. Peers in torch",
        "are left out: they were measured under a mode of torch's that slows each of their calls.",
        "",
    ]
    for kind, found in results["steps"].items():
        (work,) = found["work"]
        ours = work["contenders"]["flowlab"]["milliseconds"]
        lines += [f"### {TOLD[kind]}, on a GPU", ""]
        lines += table(
            ("", "ms per step", "flowlab ÷ this"),
            (
                (name, f"{row['milliseconds']:.2f}", f"{ours / row['milliseconds']:.2f} ×")
                for name, row in work["contenders"].items()
            ),
        )
        lines.append("")
    return lines
