"""Gaussian random fields and their exact conditional law."""

from __future__ import annotations

import itertools
import json
import math

import composed
import pytest
import torch

from data.gaussian_field import GaussianField, Matern
from data.grf import grf
from flows.errors import UserError

MATERN = Matern(smoothness=1.0, length=2.0, nugget=0.05)


def normal(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def law(channels=2, skew=0.0, size=(4, 6), mean=None):
    return GaussianField(MATERN, size, channels, 0.4, 2, 0.3, skew, mean)


def covariance(size):
    """Of every two cells, from the definition of the power: a sum of waves."""
    height, width = size
    power = MATERN.power(height, width)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in size)
    cells = torch.cartesian_prod(rows, columns)
    angle = (
        2
        * math.pi
        * (
            (cells[:, None, 0] - cells[:, 0])[..., None, None] * rows[:, None] / height
            + (cells[:, None, 1] - cells[:, 1])[..., None, None] * columns / width
        )
    )
    return (power * angle.cos()).mean((-2, -1))


def blocks(size, block=2):
    """The instrument as a matrix (cells seen, cells)."""
    height, width = size
    seen = torch.zeros(height // block, width // block, height, width, dtype=torch.float64)
    for row, column in itertools.product(range(height), range(width)):
        seen[row // block, column // block, row, column] = 1 / block**2
    return seen.flatten(0, 1).flatten(1)


def dense(channels=2, size=(4, 6)):
    """Regression of g on y, and the covariance that is left, by matrices."""
    related = torch.full((channels, channels), 0.4, dtype=torch.float64).fill_diagonal_(1.0)
    prior = torch.kron(related, covariance(size))
    seen = torch.kron(torch.eye(channels, dtype=torch.float64), blocks(size))
    gain = (
        prior
        @ seen.T
        @ torch.linalg.inv(seen @ prior @ seen.T + 0.09 * torch.eye(len(seen), dtype=torch.float64))
    )
    return gain, prior - gain @ seen @ prior


def test_power_is_that_of_unit_variance():
    torch.testing.assert_close(covariance((4, 6)).diagonal(), torch.ones(24, dtype=torch.float64))


@pytest.mark.parametrize("skew", [0.0, 0.7])
def test_the_density_is_that_of_the_dense_formula(skew):
    truth = law(skew=skew, mean=normal((4, 6), 5))
    batch = truth.joint(normal((5, 2, 4, 6), 1), normal((5, 2, 2, 3), 2))
    gain, left = dense()
    g = torch.sinh(torch.asinh(batch.x) - skew)
    mean = truth.mean.expand(2, 4, 6)
    y = batch.context[:, :, ::2, ::2] - truth._blocks(mean)
    expected = (gain @ y.flatten(1).T).T + mean.flatten()
    slope = torch.autograd.functional.jacobian(lambda x: torch.sinh(torch.asinh(x) - skew).sum(), batch.x)
    known = torch.distributions.MultivariateNormal(expected, left).log_prob(g.flatten(1))
    known = known + slope.log().sum((1, 2, 3))
    torch.testing.assert_close(truth.log_prob(batch.x, batch.context), known, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(truth.expected(batch.context).flatten(1), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_covariance_is_that_of_the_dense_formula(channels):
    found, (_, left) = law(channels).covariance(), dense(channels)
    assert found.shape == (24 * channels, 24 * channels)
    torch.testing.assert_close(found, left, atol=1e-12, rtol=1e-9)


def test_draws_have_the_mean_and_the_covariance_of_the_law():
    truth = law()
    context = truth.joint(normal((1, 2, 4, 6), 1), normal((1, 2, 2, 3), 2)).context
    left = truth.covariance()
    draws = truth.sample(40_000, context, torch.Generator().manual_seed(0))[:, 0].flatten(1)
    expected = truth.expected(context[0]).flatten()
    scale = left.diagonal().sqrt()
    assert float(((draws.mean(0) - expected) / scale).abs().max()) < 5 / math.sqrt(40_000)
    correlations = (draws.T.cov() - left) / (scale * scale.unsqueeze(1))
    assert float(correlations.abs().max()) < 6 / math.sqrt(40_000)


def test_joint_draws_have_the_law_of_the_field():
    truth = law()
    batch = truth.joint(normal((20_000, 2, 4, 6), 1), normal((20_000, 2, 2, 3), 2))
    related = torch.tensor([[1.0, 0.4], [0.4, 1.0]]).double()
    found = batch.x.flatten(1).T.cov()
    torch.testing.assert_close(found, torch.kron(related, covariance((4, 6))), atol=0.05, rtol=0)
    error = batch.context[:, :, ::2, ::2] - truth._blocks(batch.x)
    assert float(error.std()) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize(
    ("settings", "nats"), [({}, -0.146), ({"smoothness": 1.5, "block": 8}, -0.457), ({"relief": 0.5}, -0.146)]
)
def test_entropy_of_the_two_settings(settings, nats):
    dataset = grf(n_test=400, **settings)
    x, context = dataset.source("test").take(slice(None))
    per_cell = -dataset.truth.log_prob(x, context).mean() / 1024
    assert float(per_cell) == pytest.approx(nats, abs=0.004)


def test_single_precision_changes_nothing_but_the_last_digits():
    dataset = grf(channels=3, correlation=0.5, warp=0.5, n_test=8)
    x, context = dataset.source("test").take(slice(None))
    exact = dataset.truth.log_prob(x, context)
    single = dataset.truth.float().log_prob(x.float(), context.float())
    torch.testing.assert_close(single, exact, atol=0.2, rtol=1e-3)
    assert dataset.truth.sample(2, context.float()).dtype == torch.float32


def test_training_meets_new_fields_and_comes_back_to_the_same():
    source = grf(n_train=8).source("train")
    generator = torch.Generator().manual_seed(0)
    first, second = (next(source.order(4, generator)) for _ in range(2))
    assert not torch.equal(source.take(first).x, source.take(second).x)
    assert torch.equal(source.take(first).x, source.take(first).x)
    assert torch.equal(source.take(slice(2, 4)).x, source.take(slice(None)).x[2:4])
    assert source.to(torch.device("cpu"), torch.float32).take(first).x.dtype == torch.float32
    finite = grf(n_train=8, fresh=False).source("train")
    assert sorted(int(k) for index in finite.order(4, generator) for k in index) == [*range(8)]


def test_parts_and_seeds_share_no_field():
    fields = [grf(n_train=8, n_val=8, n_test=8, seed=seed) for seed in (0, 1)]
    drawn = [each.source(part).take(slice(0, 8)).x for each in fields for part in ("train", "val", "test")]
    assert len(torch.cat(drawn).unique(dim=0)) == 48


def test_names_follow_channels_and_relief():
    spec = grf(channels=2, relief=0.3, n_train=4).spec
    assert spec.names == ("x0", "x1")
    assert spec.context_names == ("seen_x0", "seen_x1", "height", "land")
    assert (spec.shape, spec.context_shape) == ((2, 32, 32), (4, 32, 32))


@pytest.mark.parametrize("experiment", ["grf_likelihood", "grf_wgan"])
def test_a_grid_of_odd_sides_is_learned_where_blocks_are_cells(tmp_path, experiment):
    """33 × 49, as real grids are: the flow and, in the second, its critic."""
    sizes = ("dataset.height=33", "dataset.width=49", "dataset.block=1")
    few = ("dataset.n_train=12", "dataset.n_val=2", "dataset.n_test=2", "trainer.batch_size=4")
    tiny = ("trainer.max_steps=3", "model.width=4", "model.layers=2", "logger=csv", "runtime.threads=1")
    composed.run(tmp_path / "run", f"experiment={experiment}", *sizes, *few, *tiny, "logger.describe=false")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["status"], facts["spec"]["shape"]) == ("finished", [1, 33, 49])


def test_blocks_have_to_fill_the_grid():
    with pytest.raises(UserError, match=r"dataset\.block=5 has to divide dataset.height=32"):
        grf(block=5)
