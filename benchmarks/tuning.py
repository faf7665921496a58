"""Settings tried for points of the drawn π: on validation alone, with seeds that no report uses.

`python -m benchmarks.tuning "zuko nsf"` tries those of one contender. Rows are kept as soon as they are
there, in `benchmarks/results/tuning.json`; a call that was cut off carries on. What was tried by hand,
before this script was there, stands in `tuning.md`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import peers
from benchmarks.rows import keep, kept
from data.xyrgb import xyrgb

ROOT = Path(__file__).parents[1]
ROWS = Path(__file__).parent / "results" / "tuning.json"
SEEDS = (100, 101)
Try = Callable[[int], float]


def peer(**settings: Any) -> Try:
    """The best validation NLL of zuko's NSF with a recipe."""

    def trained(seed: int) -> float:
        _, rows = peers.train(xyrgb(seed=seed), peers.Recipe(**settings), seed)
        return min(row["val_nll"] for row in rows)

    return trained


def ours(experiment: str, *overrides: str) -> Try:
    """The best validation NLL of an experiment with overrides."""

    def trained(seed: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            subprocess.run(
                [
                    *(sys.executable, ROOT / "train.py", f"experiment={experiment}", f"run_dir={run}"),
                    *(f"seed={seed}", f"dataset.seed={seed}", "logger=csv", "runtime.threads=1", *overrides),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            return float(pd.read_csv(run / "metrics.csv")["val_nll"].min())

    return trained


def _recipes() -> dict[str, Try]:
    tried = {
        "standard": [(lr, decay) for lr in (2.5e-4, 5e-4, 1e-3, 2e-3) for decay in (0.0, 0.1)],
        "logit": [(lr, decay) for lr in (1e-3, 2e-3) for decay in (0.0, 0.1)],
        "box": [(1e-3, decay) for decay in (0.0, 0.1)],
    }
    return {
        f"{units}, lr {lr:g}, weight decay {decay:g}": peer(units=units, lr=lr, weight_decay=decay)
        for units, pairs in tried.items()
        for lr, decay in pairs
    }


FIRST = "model.width=128 model.depth=2 model.order=null"  # of the mixtures, from which the others depart


def _experiment(name: str, *variants: str) -> dict[str, Try]:
    return {variant.strip() or "as it is": ours(name, *variant.split()) for variant in ("", *variants)}


CONTENDERS: dict[str, dict[str, Try]] = {
    "zuko nsf": _recipes(),
    "mixture": _experiment(
        "xyrgb_mixture",
        *(
            f"{FIRST} {variant}"
            for variant in (
                "",
                "model.components=4",
                "model.components=8",
                "model.width=96 model.depth=3",
                "model.width=192",
                "model.dropout=0.05",
                "model.dropout=0.15",
                "model.octaves=2",
                "model.narrowest=0.002",
                "trainer.jitter=0.02",
                "trainer.jitter=0",
            )
        ),
    ),
    "transformer": _experiment("xyrgb_transformer", "model.octaves=6", "model.dropout=0.2"),
    "realnvp": _experiment(
        "xyrgb_realnvp",
        "trainer.jitter=0",
        "trainer.jitter=0.01",
        "trainer.jitter=0.04",
        "model.width=32",
        "model.width=128",
        "model.dropout=0.1",
        "trainer.optimizer.lr=1e-3",
        "trainer.optimizer.weight_decay=0.1",
    ),
}


def measure(names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Mean best validation NLL of each setting, best first, once all that is asked for has been run."""
    rows = kept(ROWS)
    done = {(row["contender"], row["setting"], row["seed"]) for row in rows}
    for contender in names or CONTENDERS:
        for setting, trained in CONTENDERS[contender].items():
            for seed in SEEDS:
                if (contender, setting, seed) not in done:
                    row = {"contender": contender, "setting": setting, "seed": seed, "val_nll": trained(seed)}
                    rows = keep(ROWS, row)
                    print(row, flush=True)
    return sorted(_means(rows), key=lambda row: (row["contender"], row["val_nll"]))


def _means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for contender, setting in dict.fromkeys((row["contender"], row["setting"]) for row in rows):
        same = [row["val_nll"] for row in rows if (row["contender"], row["setting"]) == (contender, setting)]
        found.append({"contender": contender, "setting": setting, "seeds": len(same)})
        found[-1]["val_nll"] = round(statistics.mean(same), 4)
    return found


if __name__ == "__main__":
    print(pd.DataFrame(measure(sys.argv[1:])).to_string(index=False))
