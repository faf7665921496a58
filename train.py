"""Train what the configuration describes: python train.py dataset=moons model=realnvp trainer=likelihood."""

from __future__ import annotations

from typing import Any

from flows.cli import entry  # the rest is imported where it is used, so that --help answers at once


def check(config: dict[str, Any]) -> None:
    """Refuse what can't work before anything is built, in a sweep before its first run."""
    from flows.config import check_all

    check_all(config, trusted=config["trusted_packages"])


@entry("config", check)
def train(config: dict[str, Any]) -> None:
    """Build dataset, model and trainer; fit; print where the results are."""
    import torch

    from flows.config import build
    from flows.evaluation import figures
    from flows.training.fingerprint import fingerprint
    from flows.training.session import carry_out

    trusted = config["trusted_packages"]
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
        data_hash=fingerprint(dataset.source("train")),
        draw=lambda density: figures.training_figures(density, dataset),
    )
    figures.save_losses(outcome.folder)
    print(outcome)


if __name__ == "__main__":
    train()
