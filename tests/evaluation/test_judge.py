import math
from statistics import fmean

import pytest
import torch
from gaussians import Copier, Drawn, gaussian
from torch import Tensor

from data.xyrgb import xyrgb
from flows.core import Batch, Sampler, Spec
from flows.evaluation import judge as judges
from flows.evaluation.duel import Duel, Units, duel, joint
from flows.evaluation.judge import Statistic, _scores, judge
from flows.evaluation.meaning import rows
from flows.evaluation.metrics import wasserstein


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parts(data):
    return [data.source(part).take(slice(None)) for part in ("test", "train")]


def judged(model, data, seed=0, pairs=200):
    test, train = parts(data)
    return judge(model, data.truth, data.spec, test, train, generator(seed), pairs)


class Numbered(Sampler):
    """Gives 1000, 1001, …: draws that are known again; with context, the context itself."""

    def sample(self, n, context=None, generator=None):
        if context is not None:
            return context.expand(n, *context.shape)
        return 1000 + torch.arange(n).double().unsqueeze(1)


def numbers(n, start=0, labels=False):
    x = torch.arange(start, start + n).double().unsqueeze(1)
    return Batch(x, x + 0.5 if labels else None)


LINE = Spec(("a",), (1,))


# What is compared with what


def test_a_known_truth_is_drawn_from_against_the_same_points():
    part, pool = numbers(50), torch.cat((joint(numbers(50)), joint(numbers(70, 50))))
    found = duel(Numbered(), Numbered(), LINE, part, pool, 1000, 1, 9, generator())
    assert sorted(found.real[:, 0].tolist()) == list(range(50))
    assert found.real[:, 0].tolist() != list(
        range(50)
    )  # in random order, so that any first few are a fair sample
    assert found.drawn[0][:, 0].min() >= 1000
    real, perfect = found.again()
    assert torch.equal(real, found.real)
    assert perfect[:, 0].min() >= 1000
    assert len(found.drawn[0]) == len(perfect) == 50


@pytest.mark.parametrize(("test", "train", "size"), [(50, 70, 50), (70, 50, 60), (51, 0, 25)])
def test_an_unknown_truth_is_stood_for_by_disjoint_real_points_at_equal_sizes(test, train, size):
    part, pool = numbers(test), torch.cat((joint(numbers(test)), joint(numbers(train, test))))
    found = duel(Numbered(), None, LINE, part, pool, 1000, 1, 9, generator())
    assert set(found.real[:, 0].tolist()) <= set(range(test))
    seen = set()
    for _ in range(20):
        one, other = (set(each[:, 0].tolist()) for each in found.again())
        assert len(one) == len(other) == len(found.real) == len(found.drawn[0]) == size
        assert not one & other
        assert one | other <= set(range(test + train))
        seen |= one
    assert len(seen) == test + train  # all of the pool has its turn


@pytest.mark.parametrize("truth", [None, Numbered()])
def test_draws_are_made_under_the_contexts_of_the_other_half(truth):
    part = numbers(41, labels=True)
    found = duel(Numbered(), truth, LINE, part, joint(numbers(41, labels=True)), 1000, 1, 9, generator())
    assert len(found.real) == len(found.drawn[0]) == 20
    assert torch.equal(found.real[:, 1], found.real[:, 0] + 0.5)
    assert not {*found.real[:, 1].tolist()} & {*found.drawn[0][:, 1].tolist()}
    assert torch.equal(found.drawn[0][:, 0], found.drawn[0][:, 1])
    real, perfect = found.again()
    assert not {*real[:, 1].tolist()} & {*perfect[:, 1].tolist()}
    if truth is not None:
        assert torch.equal(perfect[:, 1], found.drawn[0][:, 1])


def test_the_limit_is_kept():
    found = duel(Numbered(), None, LINE, numbers(50), joint(numbers(50)), 10, 45, 9, generator())
    assert len(found.real) == len(found.drawn[0]) == len(found.again()[0]) == 10
    assert len(found.drawn) == 4  # as often as 45 points allow
    fewer = duel(Numbered(), None, LINE, numbers(50), joint(numbers(50)), 10, 45, 3, generator())
    assert len(fewer.drawn) == 3


def test_scores_are_means_over_draws_and_floors_over_redraws():
    real, drawn = torch.zeros(4, 1), [torch.full((4, 1), float(k)) for k in range(5)]
    mean = Statistic(lambda a, b: {"far": float((b - a).mean())}, 4, redraws=0, draws=3)
    one = Statistic(lambda a, b: {"one": float((b - a).mean())}, 4, redraws=0)
    found = _scores(Duel(real, drawn, lambda: (real, real)), [mean, one])
    assert found == {"far": 1.0, "one": 0.0}


def test_units_are_those_of_the_points_and_a_constant_keeps_its_own():
    points = torch.stack(
        (torch.randn(300, generator=generator()) * 5 + 3, torch.full((300,), 0.1)), 1
    ).double()
    units = Units.of(points, generator())
    scaled = units(points)
    assert scaled[:, 0].std().item() == pytest.approx(1)
    assert scaled[:, 0].mean().item() == pytest.approx(0, abs=1e-12)
    assert units(points + 1)[0, 1].item() == pytest.approx(1)
    assert units.median == pytest.approx(torch.pdist(scaled).median().item())


@pytest.mark.parametrize("known", [True, False])
def test_every_score_is_taken_at_equal_sizes(monkeypatch, known):
    sizes = []

    def spied(name):
        score = getattr(judges, name)

        def spy(real, drawn, *rest):
            sizes.append((len(real), len(drawn)))
            return score(real, drawn, *rest)

        monkeypatch.setattr(judges, name, spy)

    for name in ("wasserstein", "discrepancies", "classifier_accuracy", "precision_recall", "permutation_p"):
        spied(name)
    data = Drawn(gaussian(), n=300, known=known)
    data._sources["train"] = Drawn(gaussian(), n=500)._sources["train"]
    judged(gaussian(), data, pairs=100)
    assert all(one == other for one, other in sizes)
    assert {one for one, _ in sizes} == {100, 300, 500 if known else 400}


# The figures


@pytest.mark.parametrize("known", [True, False])
def test_a_perfect_model_scores_its_floors(known):
    exceeded = []
    for seed in range(4):
        found = judged(gaussian(3), Drawn(gaussian(3), features=3, n=600, known=known), seed)
        for key in ("mmd_median", "sample_energy_distance"):
            assert found[key] < 4 * found[f"{key}_floor"]
            assert found[f"{key}_train"] < 4 * found[f"{key}_floor"]
        for key in ("c2st", "precision", "recall"):
            assert found[key] == pytest.approx(found[f"{key}_floor"], abs=0.12)
        assert found["mmd_median_p"] > 0.005
        floors = [key for key in found if key.startswith(("w1", "kl")) and key.endswith("_floor_99")]
        assert len(floors) == 8
        exceeded += [found[key.removesuffix("_floor_99")] > found[key] for key in floors]
        assert all(found[key.removesuffix("_99")] < found[key] for key in floors)
    assert sum(exceeded) < 0.2 * len(exceeded)


def test_a_shift_shows_in_every_figure():
    found = judged(gaussian(mean=1.0), Drawn(gaussian()), pairs=400)
    for key in ("mmd_median", "sample_energy_distance"):
        assert found[key] > 10 * found[f"{key}_floor"]
        assert found[f"{key}_train"] > 10 * found[f"{key}_floor"]
    assert found["mmd_median_p"] == 1 / 200
    assert found["c2st"] > 0.65
    assert found["precision"] < found["precision_floor"]
    assert found["recall"] < found["recall_floor"]
    for name in "ab":
        assert found[f"w1_{name}"] == pytest.approx(1, abs=0.1)
        assert found[f"w1_{name}_floor_99"] < 0.2
        assert found[f"kl_{name}"] > found[f"kl_{name}_floor_99"]


def test_a_copier_is_nearer_to_training_points_than_a_perfect_model():
    data = Drawn(gaussian(), n=1000)
    found = judged(Copier(data), data, pairs=500)
    assert found["precision_train"] == 1
    assert found["precision"] < 1


def test_floors_against_training_points_are_there_where_sizes_differ():
    data = Drawn(gaussian(), n=300)
    data._sources["train"] = Drawn(gaussian(), n=500)._sources["train"]
    found = judged(gaussian(), data, pairs=100)
    assert {"w1_a_train", "w1_a_train_floor", "w1_a_train_floor_99", "mmd_median_train"} <= found.keys()
    assert not {"mmd_median_train_floor", "c2st_train_floor"} & found.keys()
    assert found["w1_a_train_floor"] < found["w1_a_floor"]
    found = judged(gaussian(), data, pairs=400)
    assert {"mmd_median_train_floor", "c2st_train_floor"} <= found.keys()


def test_many_features_are_told_by_mean_and_worst():
    data = Drawn(gaussian(9), features=9, n=100)
    data.spec = data.spec._replace(names=tuple("abcdefghi"))
    found = judged(gaussian(9), data, pairs=50)
    for key in ("w1", "kl"):
        each = [found[f"{key}_{name}"] for name in "abcdefghi"]
        assert found[f"{key}_mean"] == pytest.approx(fmean(each))
        assert found[f"{key}_worst"] >= max(each)  # of each draw, then averaged
    shown = {row.key for row in rows(found) if row.key.startswith(("w1", "kl"))}
    assert shown == {"w1_mean", "w1_worst", "kl_mean", "kl_worst"}
    assert found["w1_worst"] > found["w1_mean"] > 0


@pytest.mark.parametrize(
    ("names", "listed"),
    [(("low", "high"), True), (("x", "x_low"), False), (("mean", "y"), False), (("to_truth", "y"), False)],
)
def test_names_that_would_make_keys_ambiguous_are_not_listed(names, listed):
    data = Drawn(gaussian(), n=100)
    data.spec = data.spec._replace(names=names)
    found = judged(gaussian(), data, pairs=50)
    assert (f"w1_{names[1]}" in found) == listed
    assert ("w1_worst" in found) != listed
    assert "w1_mean" in found


@pytest.mark.parametrize(
    ("support", "shown"),
    [
        (((0.0, 1.0), (0.0, 256 / 255)), True),
        (((0.0, 1.0), None), False),
        (((0.0, 1.0), (0.0, None)), False),
        (((-4.0, 4.0),) * 2, False),
        (None, False),
    ],
)
def test_the_fixed_kernel_is_there_only_for_what_it_fits(support, shown):
    data = Drawn(gaussian(), n=100)
    data.spec = data.spec._replace(support=support)
    assert ("mmd" in judged(gaussian(), data, pairs=50)) == shown


def test_contexts_belong_to_what_is_compared():
    data = Drawn(gaussian(shift=4.0), labels=True)
    right = judged(gaussian(shift=4.0), data, pairs=400)
    swapped = judged(gaussian(mean=4.0, shift=-4.0), data, pairs=400)
    assert right["c2st"] < 0.6
    assert swapped["c2st"] > 0.95
    assert swapped["w1_a"] < 0.5  # the marginals of x are right


# Lattices


class Spread(Sampler):
    """The part's law, as a density sees it: lattice points spread over their cells."""

    def sample(self, n, context=None, generator=None):
        cell = (3 * torch.randn(n, 1, generator=generator, dtype=torch.float64)).floor()
        return cell + torch.rand(n, 1, generator=generator, dtype=torch.float64)


def test_draws_are_moved_onto_the_lattice_before_they_are_compared():
    draws = Spread().sample(3000, generator=generator(1))
    test, train = Batch(draws[:1000].floor()), Batch(draws[1000:].floor())
    assert wasserstein(test.x, draws[2000:])[0] > 0.35  # half a step: what isn't moved down is that far off
    for truth in (Spread(), None):
        found = judge(Spread(), truth, LINE._replace(quantum=(1.0,)), test, train, generator(), 200)
        assert found["w1_a"] < 0.3
        assert found["w1_a_floor"] < 0.2  # those of the truth too
        assert found["c2st"] < 0.6


def test_the_truth_of_a_picture_scores_its_floors():
    data = xyrgb(n=1000)
    found = judged(data.truth, data)
    assert found["mmd"] < 3 * found["mmd_floor"]
    assert found["w1_mean"] < 1.5 * found["w1_mean_floor_99"]
    assert found["mmd_median_p"] > 0.01


# What can't be compared


class Lost(Sampler):
    """One draw in a hundred is no number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        x = torch.randn(n, 2, generator=generator)
        return torch.where(torch.rand(n, 1, generator=generator) < 0.01, self.value, x)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("quantum", [None, (1.0, 1.0)])
def test_lost_draws_are_counted_and_nothing_is_compared(value, quantum):
    data = Drawn(gaussian())
    data.spec = data.spec._replace(quantum=quantum)
    found = judged(Lost(value), data)
    assert found.keys() == {"lost_draws"}
    assert found["lost_draws"] == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize(("n", "enough"), [(1, False), (19, False), (20, True)])
def test_a_handful_of_points_says_nothing(n, enough):
    assert bool(judged(gaussian(), Drawn(gaussian(), n=n))) == enough
    labelled = Drawn(gaussian(shift=1.0), n=2 * n, labels=True)
    assert bool(judged(gaussian(shift=1.0), labelled)) == enough
