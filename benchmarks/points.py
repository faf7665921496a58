"""Points of four pictures: our experiments beside the original recipes and zuko's spline flow.

All are trained on the same split and judged by the same judge. Each row is kept as soon as it is there, so a
call that was cut off carries on, and two can go side by side, a thread each. Delete
`benchmarks/results/points_runs.json` to measure anew.
`python -m benchmarks.points pi "zuko nsf"` measures one picture, or one contender, alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import original, peers
from benchmarks.rows import keep, kept, medians
from data.points import Points
from data.xyrgb import xyrgb
from flows.core import AnySubset, Sampler
from flows.evaluation import measure as judge
from flows.evaluation.runs import open_run
from flows.lattice import dequantise

ROOT = Path(__file__).parents[1]
RUNS = Path(__file__).parent / "results" / "points_runs.json"
SEEDS = range(5)
ZUKO = peers.Recipe()  # the best of `benchmarks.tuning`


class Trained(NamedTuple):
    """A model, and the seconds that its training took."""

    model: Sampler
    seconds: float


def pictures() -> dict[str, str | None]:
    """The pictures by name: the drawn π, and three that scikit-learn and matplotlib ship."""
    import matplotlib
    import sklearn.datasets

    photos = Path(sklearn.datasets.__file__).parent / "images"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {
        "pi": None,
        "china": str(photos / "china.jpg"),
        "flower": str(photos / "flower.jpg"),
        "hopper": str(hopper),
    }


def ours(experiment: str) -> Callable[[str | None, Points, int], Trained]:
    """An experiment, run as a user runs it."""

    def train(image: str | None, dataset: Points, seed: int) -> Trained:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            given = ["dataset.where=everywhere", f"dataset.image={image}"] if image else []
            subprocess.run(
                [
                    *(sys.executable, ROOT / "train.py", f"experiment={experiment}", f"run_dir={run}"),
                    *(f"seed={seed}", f"dataset.seed={seed}", "logger=csv", "runtime.threads=1", *given),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            opened = open_run(run, "best", ())
            return Trained(opened.density, opened.saved.facts["seconds"])

    return train


def zuko(image: str | None, dataset: Points, seed: int) -> Trained:
    begin = time.perf_counter()
    model, _ = peers.train(dataset, ZUKO, seed)
    return Trained(model, time.perf_counter() - begin)


def rebuilder(image: str | None, dataset: Points, seed: int) -> Trained:
    begin = time.perf_counter()
    model = original.train(dataset, seed)
    return Trained(model, time.perf_counter() - begin)


CONTENDERS: dict[str, Callable[[str | None, Points, int], Trained]] = {
    "transformer": ours("xyrgb_transformer"),
    "realnvp": ours("xyrgb_realnvp"),
    "mixture": ours("xyrgb_mixture"),
    "original realnvp": ours("xyrgb_original_realnvp"),
    "original transformer": rebuilder,
    "zuko nsf": zuko,
}


SHOWN = (
    "nll",
    "kl_to_truth",
    "mmd",
    "kl_x",
    "kl_y",
    "w1_mean",
    "memorisation_z",
    "nll_order_spread",
    "colour_gap",
)
FLOORS = ("mmd_floor", "kl_x_floor", "kl_y_floor", "w1_mean_floor")


def measure(names: Sequence[str] = ()) -> dict[str, Any]:
    """Medians over seeds by picture and contender, once all that is asked for has been run."""
    torch.set_num_threads(1)  # as ours are told to
    for seed in SEEDS:
        for picture, image in pictures().items():
            for contender, train in CONTENDERS.items():
                wanted = all({picture, contender} & set(kind) for kind in _chosen(names))
                if not wanted or (picture, seed, contender) in _done():
                    continue
                row = {"picture": picture, "seed": seed, "contender": contender}
                row |= _judged(image, seed, train)
                keep(RUNS, row)
                print(picture, seed, contender, {key: row.get(key) for key in SHOWN}, flush=True)
    return {"medians": _medians(kept(RUNS))}


def _done() -> set[tuple[str, int, str]]:
    """What is measured by now, by other calls too."""
    return {(row["picture"], row["seed"], row["contender"]) for row in kept(RUNS)}


def _chosen(names: Sequence[str]) -> list[list[str]]:
    """Names of pictures, and names of contenders, where there are any."""
    kinds = ([n for n in names if n in pictures()], [n for n in names if n in CONTENDERS])
    return [kind for kind in kinds if kind]


def _medians(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for picture, contender in dict.fromkeys((row["picture"], row["contender"]) for row in rows):
        same = [row for row in rows if (row["picture"], row["contender"]) == (picture, contender)]
        copies = sum(any("training points" in line for line in row["warnings"]) for row in same)
        found.append({"picture": picture, "contender": contender, "seeds": len(same), "copying": copies})
        found[-1] |= medians(same, ("seconds", *SHOWN, *FLOORS))
    return found


def _judged(image: str | None, seed: int, train: Callable[..., Trained]) -> dict[str, Any]:
    where = {"where": "everywhere", "image": image} if image else {}
    dataset = xyrgb(seed=seed, **where)
    model, seconds = train(image, dataset, seed)
    metrics, warnings = judge.measure(model, dataset, seed)
    return {"seconds": round(seconds, 1), **metrics, **_colours(model, dataset), "warnings": warnings}


@torch.no_grad()
def _colours(model: Sampler, dataset: Points) -> dict[str, float]:
    """How much is lost, in nats, on the colours at a place, where their law is known."""
    if not isinstance(model, AnySubset) or dataset.truth is None:
        return {}
    x = dequantise(dataset.source("test").take(slice(None)).x, dataset.spec, torch.Generator().manual_seed(0))
    truth: Any = dataset.truth
    known = truth.log_prob_colour(x[:, 2:], x[:, :2])
    ours = model.joint_log_prob(x.float(), torch.tensor([True, True, False, False, False]))
    return {"colour_gap": (known - ours).mean().item()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:]), indent=1))
