"""Train what the configuration describes: python train.py dataset=moons model=realnvp trainer=likelihood."""

from __future__ import annotations

from typing import Any

from flows.cli import entry  # the rest is imported where it is used, so that --help answers at once


@entry("config")
def train(config: dict[str, Any]) -> None:
    """Build dataset, model and trainer; fit; print where the results are."""
    from flows.config import build, check_all

    trusted = config["trusted_packages"]
    check_all(config, trusted=trusted)  # nothing is built before everything is known to fit

    import torch

    from data.hash import data_hash
    from flows.evaluation.figures import training_figures
    from flows.training.session import carry_out

    runtime, logger = build(config["runtime"], "runtime"), build(config["logger"], "logger")
    runtime.enter()
    dataset = build(config["dataset"], "dataset", trusted=trusted)
    torch.manual_seed(config["seed"])  # for the first weights; all later randomness has generators of its own
    model = build(config["model"], "model", trusted=trusted, spec=dataset.spec)
    trainer = build(config["trainer"], "trainer", trusted=trusted)
    outcome = carry_out(
        config,
        model,
        dataset,
        trainer,
        runtime,
        logger,
        data_hash(dataset.source("train")),
        draw=lambda density: training_figures(density, dataset),
    )
    print(outcome)


if __name__ == "__main__":
    train()
