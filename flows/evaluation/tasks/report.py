"""Judge a run, or several beside each other."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from flows.core import Dataset, Density, Spec
from flows.errors import UserError
from flows.evaluation.blocks import examples
from flows.evaluation.ensembles import MEMBERS
from flows.evaluation.figures import png, training_figures
from flows.evaluation.meaning import text
from flows.evaluation.measure import PAIRS, POINTS, measure
from flows.evaluation.mixture import Mixture
from flows.evaluation.plots import densities, loss_curves
from flows.evaluation.report import Step, comparison, page
from flows.evaluation.runs import OUTPUTS, Opened, find, open_run
from flows.evaluation.tabular import csv_text
from flows.evaluation.tasks.files import ready, tell, warn, write
from flows.lattice import dequantise
from flows.signals import stop_if_asked
from flows.training.config_diff import distinguishing_keys, flatten, is_free, shorten
from flows.training.outcome import override
from flows.training.saved import Saved, check_alike
from flows.types import Members, Pairs, PositiveInt, Seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4000  # points in a figure
DRAWS = 40_000  # that a picture is redrawn from
CASES = 256  # of fields in a figure
_MIXTURE = "mixture"  # what the mean of densities is called among runs
_NAMED = {"command": "command, as the run recorded it"}  # a stranger's file: to read, not to paste


class Sizes(NamedTuple):
    """How much is measured, in the order in which `measure` takes it."""

    points: int = POINTS
    pairs: int = PAIRS
    n_members: int = MEMBERS


def report(
    run: str = "latest",
    runs: list[str] | None = None,
    mixture: bool = False,
    output: str | None = None,
    points: PositiveInt = POINTS,
    pairs: Pairs = PAIRS,
    n_members: Members = MEMBERS,
    checkpoint: Literal["best", "last"] = "best",
    data: Mapping[str, str] | None = None,
    seed: Seed = 0,
    trusted_packages: Sequence[str] = (),
) -> None:
    """Measure, draw, write and print: metrics.json, metrics.csv, figures as PNG, report.html.

    Args:
        run: The run's directory, or `latest`.
        runs: Several runs, laid over each other in one report instead.
        mixture: Whether to lay beside them the mean of their densities.
        output: The folder; by default the run's own `evaluation`, or `outputs/comparison` for several.
        points: Most test points used.
        pairs: Most points on each side of what compares all pairs of points, 20 at least.
        n_members: Draws for each held-out case, where x is a field, 2 to 1000.
        checkpoint: Which weights.
        data: Where files of its dataset lie now, by their keys.
        seed: Of everything drawn.
        trusted_packages: Packages of the user's own that the runs' configurations may name.

    Raises: UserError.
    """
    sizes = Sizes(points, pairs, n_members)
    if runs is None:
        if mixture:
            raise UserError(
                "mixture=true: goes with runs=[a,b,…] or sweep=DIR, whose densities it is the mean of"
            )
        path = find(run)
        opened = open_run(path, checkpoint, trusted_packages, data)
        _ = opened.dataset  # before anything is written: it may not be there
        folder = ready(Path(output) if output else path / "evaluation")
        _single(opened, checkpoint, folder, sizes, seed)
        return
    if not runs:
        raise UserError("runs=[]: name at least one run, or leave it out for run=latest")
    every = {}
    for path in dict.fromkeys(find(each) for each in runs):
        own = path.resolve().name
        name = str(path.resolve()) if own in every or own == _MIXTURE else own
        every[name] = open_run(path, checkpoint, trusted_packages, data)
    judged = {name: Judged(each.density, each.dataset) for name, each in every.items()}
    if mixture:
        judged[_MIXTURE] = _mixture(every)
    folder = ready(Path(output) if output else OUTPUTS / "comparison")
    _several(every, judged, folder, sizes, seed)


def _single(opened: Opened, checkpoint: str, folder: Path, sizes: Sizes, seed: int) -> None:
    saved, density, dataset = opened.saved, opened.density, opened.dataset
    tell(f"{saved.path}: measuring")
    metrics, doubts = measure(density, dataset, seed, *sizes)
    tell(f"{saved.path}: drawing figures")
    warnings = [*opened.warnings, *doubts]
    figures = _curves({"run": saved.metrics()})
    figures |= training_figures(density, dataset, "test", SHOWN, seed, DRAWS, CASES)
    stop_if_asked()  # for the last time: what is written from here on belongs together
    _write_figures(folder, figures)
    write(folder / "metrics.json", json.dumps(_plain(metrics), indent=1) + "\n")
    write(folder / "metrics.csv", csv_text([("metric", "value"), *metrics.items()]))
    facts = {_NAMED.get(key, key): value for key, value in saved.facts.items() if key != "spec"}
    steps = _steps(saved.path, saved.facts, checkpoint, sizes, seed)
    html = page(
        saved.path.resolve().name,
        _summary(saved, checkpoint),
        metrics,
        figures,
        warnings,
        facts,
        saved.config,
        steps,
    )
    write(folder / "report.html", html)
    print(text(metrics))
    warn(warnings)
    print(f"\nreport: {folder / 'report.html'}")


def _summary(saved: Saved, checkpoint: str) -> str:
    names = [str(saved.config[part]["_target_"]).rpartition(".")[2] for part in ("model", "dataset")]
    step, status = saved.facts.get("step", 0), saved.facts.get("status", "")
    return f"{names[0]} on {names[1]} · {step:,} steps, {status} · {checkpoint} checkpoint"


class Judged(NamedTuple):
    """A density, and the data it is held against."""

    density: Density
    dataset: Dataset


def _mixture(every: Mapping[str, Opened]) -> Judged:
    """The mean of the runs' densities, held against the first one's data."""
    first, *rest = every.values()
    for each in rest:
        try:
            check_alike(each.saved.path, each.saved.spec, first.saved.spec)
        except UserError as error:
            raise UserError(
                f"mixture=true: {error}; only runs of the same features can be averaged"
            ) from None
        if first.dataset.truth is None and _hash(each) != _hash(first):
            raise UserError(
                f"mixture=true: {each.saved.path} was trained on other data than {first.saved.path}, maybe "
                "on its test points; sweep seed, and not dataset.seed"
            )
    return Judged(Mixture([each.density for each in every.values()]), first.dataset)


def _hash(opened: Opened) -> object:
    """Of the data that a run was trained on."""
    return opened.saved.facts.get("data_hash")


def _several(
    every: Mapping[str, Opened],
    judged: Mapping[str, Judged],
    folder: Path,
    sizes: Sizes,
    seed: int,
) -> None:
    metrics, warnings = {}, []
    for name, (density, dataset) in judged.items():
        tell(f"{name}: measuring")
        metrics[name], doubts = measure(density, dataset, seed, *sizes)
        known = every[name].warnings if name in every else []
        warnings += [f"{name}: {line}" for line in (*known, *doubts)]
    if len({*map(_hash, every.values())}) > 1:
        warnings.append("these runs were trained on different data: their likelihoods don't compare")
    called = _titles(every)
    titles = called | {_MIXTURE: f"{_MIXTURE}: the mean of the runs' densities"}
    figures = _curves({called[name]: opened.saved.metrics() for name, opened in every.items()})
    figures |= _side_by_side(every, judged, seed)
    stop_if_asked()  # for the last time, as above
    _write_figures(folder, figures)
    keys = list(dict.fromkeys(key for each in metrics.values() for key in each))
    table = [[name, *(each.get(key, "") for key in keys)] for name, each in metrics.items()]
    write(folder / "metrics.csv", csv_text([("run", *keys), *table]))
    write(
        folder / "metrics.json", json.dumps({n: _plain(each) for n, each in metrics.items()}, indent=1) + "\n"
    )
    write(
        folder / "report.html",
        comparison({titles[name]: each for name, each in metrics.items()}, figures, warnings),
    )
    for name, each in metrics.items():
        print(f"{titles[name]}\n{text(each)}\n")
    warn(warnings)
    print(f"report: {folder / 'report.html'}")


def _titles(every: Mapping[str, Opened]) -> dict[str, str]:
    """Each run's name, and what tells it from the others."""
    configs = {name: flatten(opened.saved.config) for name, opened in every.items()}
    shown = [key for key in distinguishing_keys([*configs.values()]) if not is_free(key)]
    return {
        name: " ".join([name, *("=".join(map(str, shorten(key, config.get(key)))) for key in shown)])
        for name, config in configs.items()
    }


def _curves(runs: Mapping[str, Sequence[Mapping[str, float | None]]]) -> dict[str, Figure]:
    known = {name: rows for name, rows in runs.items() if rows}
    return {"loss": loss_curves(known)} if known else {}


def _side_by_side(every: Mapping[str, Opened], judged: Mapping[str, Judged], seed: int) -> dict[str, Figure]:
    """Densities over the first run's data; only where all runs speak of the same one or two features."""
    first = next(iter(every.values()))
    spec = first.saved.spec
    alike = all(_about(each.saved.spec) == _about(spec) for each in every.values())
    if not alike or len(spec.shape) != 1 or spec.shape[0] > 2:
        return {}
    generator = torch.Generator().manual_seed(seed)
    batch = examples(first.dataset, "test", SHOWN, generator)
    batch = batch._replace(x=dequantise(batch.x, spec, generator))  # what densities speak of
    models = {name: each.density for name, each in judged.items()}
    return {"density": densities(models, first.dataset.truth, batch, spec.names)}


def _about(spec: Spec) -> tuple[object, ...]:
    """What a run's features are, and what it was given."""
    return spec.names, spec.shape, spec.context_names, spec.context_shape


def _write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    for name, figure in figures.items():
        write(folder / f"{name}.png", png(figure))


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no infinities: null where a number isn't finite."""
    return {key: value if math.isfinite(value) else None for key, value in metrics.items()}


def _steps(path: Path, facts: Mapping[str, Any], checkpoint: str, sizes: Sizes, seed: int) -> list[Step]:
    """Commands to paste: none is taken as it stands from the run's files, which may be anyone's."""
    program, run = ["python", "evaluate.py"], override("run", str(path))
    again = [] if checkpoint == "best" else [f"checkpoint={checkpoint}"]
    usual = Sizes()._asdict()
    again += [f"{key}={size}" for key, size in sizes._asdict().items() if size != usual[key]]
    again += [] if seed == 0 else [f"seed={seed}"]
    of_fields = len(facts.get("spec", {}).get("shape", ())) == 3
    drawn = ["n=50", "output=members.nc"] if of_fields else ["n=5000", "output=samples.csv"]
    steps = [
        Step("Measure again", shlex.join([*program, run, *again])),
        Step("Look at the curves", shlex.join(["tensorboard", "--logdir", str(path / "tensorboard")])),
        Step("Draw from it", shlex.join([*program, "task=sample", run, *drawn])),
        Step("In Python", f"density = flows.load({str(path)!r})"),
    ]
    commit = (facts.get("commit") or "").partition("+")[0]
    if re.fullmatch("[0-9a-f]{7,64}", commit):
        steps.insert(0, Step("Take the code", f"git checkout {commit}"))
    return steps
