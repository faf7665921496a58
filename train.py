"""Train what the configuration describes: python train.py dataset=moons model=realnvp trainer=likelihood."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flows.cli import entry  # the rest is imported where it is used, so that --help answers at once

if TYPE_CHECKING:
    from flows.core import Dataset
    from flows.training.outcome import Outcome
    from flows.training.session import Session


def check(config: dict[str, Any]) -> None:
    """Refuse what can't work before anything is built, in a sweep before its first run."""
    from flows.config import check_all
    from flows.errors import UserError

    for key in ("seed", "run_dir", "init_from", "trusted_packages"):
        if key not in config:
            raise UserError(f"~{key}: has to stay; give {key}=VALUE")
    check_all(config, trusted=config["trusted_packages"])


def prepare(config: dict[str, Any], datasets: dict[str, Dataset] | None = None) -> Session:
    """Build dataset, model and trainer.

    Args:
        config: What to build.
        datasets: Those there are already, by their configuration; takes a new one.
    """
    import torch

    from flows.config import build
    from flows.evaluation import figures
    from flows.training.fingerprint import fingerprint
    from flows.training.seeds import seed_of
    from flows.training.session import Session

    trusted = config["trusted_packages"]
    runtime, logger = build(config["runtime"], "runtime"), build(config["logger"], "logger")
    runtime.enter()
    described, known = repr(config["dataset"]), {} if datasets is None else datasets
    dataset = known.get(described) or build(config["dataset"], "dataset", trusted=trusted)
    known[described] = dataset
    torch.manual_seed(seed_of("weights", config["seed"]))  # later randomness has generators of its own
    return Session(
        config,
        build(config["model"], "model", trusted=trusted, spec=dataset.spec),
        dataset,
        build(config["trainer"], "trainer", trusted=trusted),
        runtime,
        logger,
        data_hash=fingerprint(dataset.source("train")),
        draw=lambda density: figures.training_figures(density, dataset),
    )


def train_together(configs: list[dict[str, Any]], size: int) -> list[Exception | None]:
    """Train several, those of equal shape as one."""
    from flows.sweeps.batched import train_all

    return train_all(configs, partial(prepare, datasets={}), conclude, size)


NEEDED = (
    *("flows.training.session", "flows.training.fingerprint", "flows.training.board"),
    *("flows.evaluation.figures", "matplotlib.figure", "matplotlib.backends.backend_agg"),
)


@entry("config", check, train_many=train_together, needs=NEEDED)
def train(config: dict[str, Any]) -> None:
    """Build what is asked for; fit; print where the results are."""
    from flows.training.session import carry_out

    conclude(carry_out(prepare(config)))


def conclude(outcome: Outcome) -> None:
    """Draw the curves of the losses, and say where the results are."""
    from flows.evaluation import figures
    from flows.sweeps.job import forget

    figures.save_losses(outcome.folder)
    forget(outcome.folder)  # that it failed before, of which a sweep's summary would still tell
    print(outcome)


if __name__ == "__main__":
    train()
