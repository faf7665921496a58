"""Faults planted in a copy of the project, each caught by the test that is there for it.

A test that passes on the faulty copy would be a test that can't fail.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import zoo


class Fault(NamedTuple):
    """A line that is made wrong, and the test that must notice."""

    file: str
    right: str
    wrong: str
    caught_by: str


FAULTS = {
    "ladj of the wrong sign": Fault(
        "flows/transforms/elementwise.py",
        "return x * log_scale.exp() + shift, log_scale",
        "return x * log_scale.exp() + shift, -log_scale",
        "tests/test_zoo.py::test_ladj_is_autodiffs_both_ways",
    ),
    "ladj of a layer dropped": Fault(
        "flows/core.py",
        "total = total + ladj",
        "total = ladj",
        "tests/test_zoo.py::test_density_integrates_to_one",
    ),
    "standardisation's ladj dropped": Fault(
        "flows/transforms/standardize.py",
        "(sign * self.std.log().sum())",
        "(0 * self.std.log().sum())",
        "tests/test_zoo.py::test_likelihood_is_in_the_units_of_the_data",
    ),
    "mask swapped in one direction": Fault(
        "flows/transforms/partition.py",
        "(second, first) if self.swapped else (first, second), dim=-1",
        "(first, second) if self.swapped else (second, first), dim=-1",
        "tests/test_zoo.py::test_inverse_both_ways",
    ),
    "masks that don't alternate": Fault(
        "flows/models/realnvp.py",
        "start=layer % 2 == 0",
        "start=True",
        "tests/models/test_realnvp.py::test_every_feature_is_transformed",
    ),
    "base of the wrong variance": Fault(
        "flows/bases.py",
        "return x.square().sum(event) * -0.5 - constant",
        "return x.square().sum(event) * -0.4 - constant",
        "tests/test_zoo.py::test_samples_follow_the_density",
    ),
    "average not used": Fault(
        "flows/training/player.py",
        "        weights.copy_(self.average)\n",
        "",
        "tests/training/test_player.py::test_the_average_follows_the_weights_and_is_what_averaged_shows",
    ),
    "average not validated": Fault(
        "flows/training/validation.py",
        'with run.players["model"].averaged():',
        "if True:",
        "tests/training/test_trainer.py::test_the_average_is_what_is_validated",
    ),
    "gradient not clipped": Fault(
        "flows/training/player.py",
        "grad.mul_((self.clip_norm / norm).clamp(max=1.0))",
        "pass",
        "tests/training/test_player.py::test_clipping_bounds_the_step",
    ),
    "bad step not suppressed": Fault(
        "flows/training/player.py",
        "weights.copy_(torch.where(good, weights, before))",
        "pass",
        "tests/training/test_player.py::test_a_bad_step_never_reaches_the_weights",
    ),
    "validation leaks into training": Fault(
        "data/toy.py",
        "place = [*self._sizes].index(part)",
        "place = 0",
        "tests/data/test_toys.py::test_parts_share_no_point",
    ),
    "KL against the wrong truth": Fault(
        "data/toys.py",
        "truth = Mixture([ribbon(curve, (0, math.pi), noise) for curve in (upper, lower)])",
        "truth = Mixture([ribbon(curve, (0, math.pi), 1.1 * noise) for curve in (upper, lower)])",
        "tests/data/test_truths.py::test_entropy_of_two_moons",
    ),
    "order of batches not restored": Fault(
        "flows/training/stream.py",
        'self.generator.set_state(state["generator"])',
        "pass",
        "tests/training/test_stream.py::test_restored_anywhere_it_gives_the_same_batches",
    ),
    "optimizer not restored": Fault(
        "flows/training/player.py",
        'slots = within(tensors, "optimizer.")',
        "slots = {}",
        "tests/training/test_player.py::test_restored_it_goes_the_same_way",
    ),
    "checksum not checked": Fault(
        "flows/training/checkpoint.py",
        "if _digest(data) != digests[name]:",
        "if False:",
        "tests/training/test_checkpoint.py::test_damage_is_found_and_the_one_before_taken",
    ),
}

COPIED = ("flows", "data", "conf", "tests", "train.py", "evaluate.py", "pyproject.toml")


def copy(folder: Path) -> None:
    for name in COPIED:
        source = zoo.ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)


def passes(folder: Path, *tests: str) -> bool:
    """Whether tests pass there; they must exist."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(tmp_path, name):
    fault = FAULTS[name]
    copy(tmp_path)
    path = tmp_path / fault.file
    text = path.read_text()
    assert fault.right in text, f"{fault.file} no longer says {fault.right!r}"
    path.write_text(text.replace(fault.right, fault.wrong))
    assert not passes(tmp_path, fault.caught_by)


def test_the_copy_without_a_fault_passes(tmp_path):
    copy(tmp_path)
    assert passes(tmp_path, *dict.fromkeys(fault.caught_by for fault in FAULTS.values()))
