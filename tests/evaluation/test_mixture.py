"""The mean of several densities is a density, and what is drawn follows it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import zoo
from gaussians import Drawn, gaussian
from typeguard import suppress_type_checks

from flows.errors import UserError
from flows.evaluation.mixture import Mixture
from flows.evaluation.tasks import report


def test_it_is_the_mean_and_no_worse_than_its_members_are_on_average():
    members = [zoo.model("realnvp", 2, 1, seed=seed) for seed in range(3)]
    x, context = zoo.data(2, 1, n=200, seed=7)
    each = torch.stack([member.log_prob(x, context) for member in members])
    log_prob = Mixture(members).log_prob(x, context)
    torch.testing.assert_close(log_prob.exp(), each.exp().mean(0))
    assert log_prob.mean() > each.mean()


def test_draws_follow_it():
    """Beyond a plane between two far members lies the share that the density says, in any order of draws."""
    members = [zoo.model("realnvp", 2, seed=seed) for seed in range(2)]
    members[1].transform.transforms[0].mean += 100.0
    draws = Mixture(members).sample(4000, None, torch.Generator().manual_seed(0))
    far = draws.mean(-1) > 50
    assert abs(float(far.double().mean()) - 0.5) < 4 * math.sqrt(0.25 / 4000)
    first, second = far[:2000].double().mean(), far[2000:].double().mean()
    assert abs(float(first - second)) < 4 * math.sqrt(0.5 / 2000)  # not one member after the other
    assert draws.shape == (4000, 2)
    assert Mixture(members).sample(0).shape == (0, 2)


def test_draws_have_a_context_s_lead():
    members = [zoo.model("realnvp", 2, 1, seed=seed) for seed in range(2)]
    context = zoo.data(2, 1, n=5).context
    assert Mixture(members).sample(7, context).shape == (7, 5, 2)


def test_each_context_has_a_member_of_its_own():
    members = [zoo.model("realnvp", 2, 1, seed=seed) for seed in range(2)]
    members[1].transform.transforms[0].mean += 100.0
    context = zoo.data(2, 1, n=1000).context
    far = Mixture(members).sample(2, context, torch.Generator().manual_seed(0)).mean(-1) > 50
    assert abs(float(far.double().mean()) - 0.5) < 4 * math.sqrt(0.25 / 2000)


def opened(name, data_hash, known):
    data = Drawn(gaussian(), n=50, known=known)
    saved = SimpleNamespace(path=Path(name), spec=data.spec, facts={"data_hash": data_hash})
    return SimpleNamespace(saved=saved, density=gaussian(), dataset=data, warnings=[])


@suppress_type_checks  # of runs that are no files
def test_runs_of_other_data_are_not_mixed_but_where_all_data_is_drawn_from_a_law():
    """A split of a table by another seed has some run's training points among the others' test points."""
    runs = {name: opened(name, name, known=False) for name in "ab"}
    with pytest.raises(UserError, match=r"b was trained on other data than a.*sweep seed, and not"):
        report._mixture(runs)
    runs["b"].saved.facts = runs["a"].saved.facts
    assert isinstance(report._mixture(runs).density, Mixture)
    assert isinstance(report._mixture({n: opened(n, n, known=True) for n in "ab"}).density, Mixture)


@suppress_type_checks
def test_a_run_that_is_called_mixture_keeps_its_name(monkeypatch, tmp_path):
    given = {}
    monkeypatch.setattr(report, "find", Path)
    monkeypatch.setattr(report, "open_run", lambda path, *_: opened(path.name, "same", known=True))
    monkeypatch.setattr(report, "_several", lambda every, judged, *_: given.update(judged))
    runs = [str(tmp_path / name) for name in ("a", "mixture")]
    report.report(runs=runs, mixture=True, output=str(tmp_path / "out"))
    assert [*given] == ["a", runs[1], "mixture"]
    assert isinstance(given["mixture"].density, Mixture)
