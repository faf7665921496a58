"""Whole experiments, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zoo
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import train
from flows.config import build
from flows.core import Dataset
from flows.evaluation import figures
from flows.training.session import Session


def configuration(*overrides: str) -> dict[str, Any]:
    """What train.py would be told."""
    with initialize_config_dir(str(zoo.CONF), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return config


def dataset(*overrides: str) -> Dataset:
    """The dataset that train.py would build."""
    return build(configuration(*overrides)["dataset"], "dataset")


def session(*overrides: str) -> Session:
    """What train.py would train."""
    return train.prepare(configuration(*overrides))


def run(folder: Path, *overrides: str) -> None:
    """What train.py would do; UserError instead of its one line and status 2."""
    carry_out(configuration(f"run_dir={folder}", *overrides))


def carry_out(config: dict[str, Any]) -> None:
    """What train.py would do, told so much; its curves are plotted, but not painted, which takes long."""
    train.check(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "png", lambda figure: b"")
        train.train.__wrapped__(config)
