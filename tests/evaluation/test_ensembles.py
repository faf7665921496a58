"""The judgement of fields: the law is acquitted, what differs from it is not."""

from __future__ import annotations

import math
from typing import final

import pytest
import torch
from scipy import stats
from torch import Tensor

from data.grf import grf
from flows.core import Sampler, Spec
from flows.evaluation import blocks, ensembles
from flows.evaluation.blocks import samples
from flows.evaluation.ensembles import draw, interpolation, judge_fields
from flows.evaluation.metrics.ensemble import rank_p

DATA = grf(height=16, width=16, length=3.0, channels=2, correlation=0.5, n_train=200, n_test=120)
TEST, TRAIN = (DATA.source(part).take(slice(None)) for part in ("test", "train"))


@final
class Bent(Sampler):
    """Draws of the law, changed."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        drawn = DATA.truth.sample(n, context, generator)
        return self.change(drawn, DATA.truth.expected(context))


def judged(model: Sampler, seed: int = 0, members: int = 12) -> dict[str, float]:
    generator = torch.Generator().manual_seed(seed)
    return judge_fields(model, DATA.truth, DATA.spec, TEST, TRAIN.x, generator, members)


def outside(found: dict[str, float], key: str) -> bool:
    return not found[f"{key}_exact_low"] <= found[key] <= found[f"{key}_exact_high"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_law_lies_within_its_own_bands(seed):
    found = judged(DATA.truth, seed)
    for key in ("crps", "energy_score", "mae", "rmse", "spread_skill", "log_spectral_distance"):
        assert not outside(found, key), key
    assert found["rank_chi2_p"] > 0.01
    assert found["crps"] < found["crps_interpolation"] < found["crps_climatology"]


def test_members_that_are_too_sure_are_found_out():
    found = judged(Bent(lambda drawn, mean: mean + 0.5 * (drawn - mean)))
    assert outside(found, "spread_skill")
    assert found["spread_skill"] < 0.7
    assert found["rank_chi2_p"] < 1e-3
    assert outside(found, "crps")


def test_cells_that_are_right_alone_but_not_together_are_found_out():
    """Each cell from another member: the same law in each cell, so CRPS can't tell."""
    generator = torch.Generator().manual_seed(0)

    def shuffled(drawn: Tensor, _: Tensor) -> Tensor:
        return drawn.gather(0, torch.rand(drawn.shape, generator=generator).argsort(0))

    found, of_the_same_draws = judged(Bent(shuffled)), judged(DATA.truth)
    assert not outside(found, "crps")
    assert not outside(found, "spread_skill")
    assert found["energy_score"] > of_the_same_draws["energy_score"]
    assert found["log_spectral_distance"] > 3


def test_a_shift_is_found_out():
    found = judged(Bent(lambda drawn, _: drawn + 0.4))
    assert outside(found, "mae")
    assert outside(found, "rmse")
    assert found["rank_chi2_p"] < 1e-3


def test_without_a_law_or_a_context_there_are_fewer_references():
    generator = torch.Generator().manual_seed(0)
    found = judge_fields(DATA.truth, None, DATA.spec, TEST, TRAIN.x, generator, 5)
    assert not any(key.endswith("_exact") for key in found)
    assert {"crps_climatology", "crps_interpolation"} <= found.keys()
    assert all(math.isfinite(value) for value in found.values())


def test_a_channel_in_small_units_is_judged_like_any_other():
    """The second channel is noise without spread; the first one, right, is a thousand times as large."""
    large = torch.tensor([1000.0, 1.0]).view(2, 1, 1)

    def wrong(drawn: Tensor, _: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(drawn[:, :, 1].shape, generator=generator).to(drawn)
        return torch.stack((drawn[:, :, 0], 0.1 * noise), 2) * large

    test = TEST._replace(x=TEST.x * large)
    truth = Bent(lambda drawn, _: drawn * large)
    generator = torch.Generator().manual_seed(0)
    found = judge_fields(Bent(wrong), truth, DATA.spec, test, TRAIN.x * large, generator, 12)
    first, second = DATA.spec.names
    for key in ("crps", "mae", "rmse", "spread_skill", "log_spectral_distance"):
        assert not outside(found, f"{key}_{first}"), key
        assert outside(found, f"{key}_{second}"), key
        assert outside(found, key), key
    assert found[f"crps_{first}"] > 100 * found[f"crps_{second}"]  # in data units
    assert found["crps"] < 2  # in standard deviations


def test_scores_of_one_channel_are_in_data_units():
    spec, x = Spec(("t",), (1, 16, 16)), 1000 * TEST.x[:, :1]
    members = Counting(16)
    found = judge_fields(members, None, spec, TEST._replace(x=x, context=None), x, torch.Generator(), 3)
    assert "crps_t" not in found
    assert found["rmse"] == pytest.approx((x - 1).square().mean().sqrt().item())


def test_members_are_drawn_under_the_context_of_their_case():
    drawn = draw(DATA.truth, DATA.spec, TEST.context[:7], 7, 400, torch.Generator().manual_seed(0))
    assert drawn.shape == (7, 400, 2, 16, 16)
    torch.testing.assert_close(drawn.mean(1), DATA.truth.expected(TEST.context[:7]), atol=0.2, rtol=0)


def test_what_the_context_says_of_x_is_found_by_its_name():
    spec = Spec(("t", "u"), (2, 4, 4), ("low_u", "height", "low_t"), (3, 4, 4))
    context = torch.arange(3.0).reshape(1, 3, 1, 1).expand(5, 3, 4, 4)
    found = interpolation(spec, context)
    assert found is not None
    assert found[0, :, 0, 0].tolist() == [2.0, 0.0]
    assert interpolation(spec._replace(context_names=("a", "b", "low_t")), context) is None
    assert interpolation(spec, None) is None


class Counting(Sampler):
    """Notes how many numbers it is asked for at once."""

    def __init__(self, side=64):
        super().__init__()
        self.asked, self.side = [], side

    def sample(self, n, context=None, generator=None):
        side = self.side
        shape = (n, 1, side, side) if context is None else (n, len(context), 1, side, side)
        self.asked.append(math.prod(shape))
        return torch.arange(n).double().view(-1, *[1] * (len(shape) - 1)).expand(shape)


def test_however_many_members_are_asked_for_few_are_drawn_at_once():
    spec = Spec(("t",), (1, 64, 64))
    for context in (torch.zeros(2, 1, 64, 64), None):
        sampler = Counting()
        drawn = ensembles.draw(sampler, spec, context, 2, 300, torch.Generator())
        assert drawn.shape == (2, 300, 1, 64, 64)
        assert max(sampler.asked) <= ensembles.LARGEST
    sampler = Counting()
    assert samples(sampler, 300, None, torch.Generator(), size=4096).shape == (300, 1, 64, 64)
    assert max(sampler.asked) <= blocks.NUMBERS


def test_too_few_cases_have_no_chance():
    assert math.isnan(rank_p(torch.arange(10) * 5, 50))
    assert rank_p(torch.arange(12) * 4, 50) > 0.5


@pytest.mark.parametrize("cases", [50, 100, 180, 512])
@pytest.mark.parametrize("members", [2, 50, 99])
def test_no_bin_of_ranks_expects_fewer_than_five(cases, members, monkeypatch):
    expected, chisquare = [], stats.chisquare
    monkeypatch.setattr(
        stats, "chisquare", lambda seen, wanted: expected.append(wanted) or chisquare(seen, wanted)
    )
    rank_p(torch.arange(cases) % (members + 1), members)
    assert expected[0].min() >= 5
    assert expected[0].sum() == pytest.approx(cases)
