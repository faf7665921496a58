"""What a run was made of: commit, versions, machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from flows.training.runtime import Runtime

_ROOT = Path(__file__).parents[2]


def facts(runtime: Runtime) -> dict[str, Any]:
    """Everything besides the configuration that a result may depend on."""
    packages = ("torch", "numpy", "scikit-learn", "hydra-core", "safetensors")
    cuda = runtime.device.type == "cuda"
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "versions": {
            "flowlab": _own_version(),
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        },
    }


def commit() -> str | None:
    """The commit of this checkout, with `+changes` if files differ from it; None outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _own_version() -> str:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]


def _git(*arguments: str) -> str:
    return subprocess.run(
        # core.fsmonitor may name a command, which git would run
        ["git", "-c", "core.fsmonitor=false", "-C", str(_ROOT), *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
