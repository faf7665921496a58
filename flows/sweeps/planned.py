"""Which jobs a sweep was asked for, those that never started among them."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from flows.errors import UserError
from flows.training.written import content

MOST = 10_000  # jobs: nobody waits for more, and the file may be anyone's


def planned(sweep: Path) -> list[list[str]]:
    """The overrides of each job by its number, none where multirun.yaml doesn't say."""
    try:
        hydra: Any = content(sweep / "multirun.yaml")["hydra"]
        if hydra["sweep"]["subdir"] != "${hydra.job.num}":
            return []
        fixed = [f"{key}={value}" for key, value in (hydra["sweeper"]["params"] or {}).items()]
        overrides = OverridesParser.create().parse_overrides([*fixed, *map(str, hydra["overrides"]["task"])])
        choices: dict[str, list[str]] = {}
        for override in overrides:
            key = override.get_key_element()
            if override.is_sweep_override():
                choices[key] = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MOST)]
            else:
                choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    except (UserError, HydraException):
        return []
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        return []
    return [list(job) for job in islice(product(*choices.values()), MOST)]
