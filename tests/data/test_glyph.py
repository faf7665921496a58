"""The drawn π: what it looks like, and that its law is exact."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from data.glyph import Glyph, _log_level, draw
from data.xyrgb import xyrgb
from flows.lattice import log_cell, quantise

SHAPE = torch.tensor([[True, False], [True, True]])  # all but the upper left of four pixels
LEVEL = torch.arange(256, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def means(x, y):
    return [45 + 165 * x, 45 + 165 * y, 127.5 + 82.5 * math.cos(2 * math.pi * (x - y))]


def runs(line):
    """How many stretches of True a line has."""
    return int((np.diff(np.concatenate([[0], line.astype(int), [0]])) == 1).sum())


@pytest.fixture(scope="module")
def pi():
    return draw("π", 300)


@pytest.fixture(scope="module")
def truth(pi):
    return Glyph(pi, 12.0)


def test_the_letter_is_a_bar_on_two_legs_and_fills_the_picture(pi):
    pi = pi.numpy()
    columns, rows = np.flatnonzero(pi.any(1)), np.flatnonzero(pi.any(0))
    assert 269 <= max(np.ptp(columns), np.ptp(rows)) + 1 <= 271
    assert abs(columns[0] + columns[-1] - 299) <= 1 and abs(rows[0] + rows[-1] - 299) <= 1
    bar, middle, knee = rows[-1] - 20, rows[0] + 130, rows[0] + 60
    assert runs(pi[:, bar]) == 1 and pi[:, bar].sum() > 200
    assert runs(pi[:, middle]) == 2
    assert runs(pi[:, knee]) == 3 and columns[-1] in np.flatnonzero(pi[:, rows[0] : knee + 30].any(1))


def test_drawing_is_the_same_at_every_size(pi):
    coarse = draw("π", 100).double()
    fine = pi.double().reshape(100, 3, 100, 3).mean((1, 3))
    whole = (fine == 0) | (fine == 1)
    assert torch.equal(coarse[whole], fine[whole])


def test_pixels_have_equal_shares_that_sum_to_one(pi, truth):
    centres = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
    log_p = truth.log_prob_position(torch.cartesian_prod(centres, centres)).reshape(300, 300)
    assert torch.equal(log_p.isfinite(), pi)
    assert (log_p.exp().sum() / 300**2).item() == pytest.approx(1, abs=1e-12)


def test_entropy_of_the_position_is_that_of_the_pixels_and_a_cell(pi, truth):
    entropy = -truth.log_prob_position(truth.sample(5)[:, :2])
    expected = math.log(int(pi.sum())) - 2 * math.log(300)
    torch.testing.assert_close(entropy, torch.full((5,), expected, dtype=torch.float64), rtol=0, atol=1e-12)


@given(mean=st.floats(45, 210), noise=st.floats(0.1, 100))
def test_levels_sum_to_one(mean, noise):
    log_p = _log_level(LEVEL, torch.tensor(mean, dtype=torch.float64), noise)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


@given(mean=st.floats(45, 210), noise=st.floats(0.1, 100))
def test_levels_keep_their_digits_far_from_the_mean(mean, noise):
    log_p = _log_level(LEVEL, torch.tensor(mean, dtype=torch.float64), noise)
    mirrored = _log_level(LEVEL.flip(0), torch.tensor(255 - mean, dtype=torch.float64), noise)
    assert log_p.isfinite().all()
    torch.testing.assert_close(log_p, mirrored, rtol=1e-9, atol=1e-9)
    inner = LEVEL[1:-1].numpy()
    low, high = (inner - 0.5 - mean) / noise, (inner + 0.5 - mean) / noise
    expected = np.where(low > 0, norm.sf(low) - norm.sf(high), norm.cdf(high) - norm.cdf(low))
    seen = expected > 1e-280
    np.testing.assert_allclose(log_p[1:-1].exp().numpy()[seen], expected[seen], rtol=1e-8)


@pytest.mark.parametrize("noise", [8.0, 12.0, 100.0])
def test_colours_are_rounded_and_clipped_normals_about_the_gradient(noise):
    column, row = 40, 250
    truth = Glyph(draw("π", 300), noise)
    expected, level = 3 * math.log(255), torch.tensor([90, 200, 255])
    for k, mean in zip(level.tolist(), means(40.5 / 300, 250.5 / 300), strict=True):
        upper = norm.sf((k - 0.5 - mean) / noise)
        expected += math.log(upper if k == 255 else upper - norm.sf((k + 0.5 - mean) / noise))
    position = (torch.tensor([column, row], dtype=torch.float64) + 0.3) / 300
    colour = (level.double() + 0.9) / 255
    assert truth.log_prob_colour(colour, position).item() == pytest.approx(expected, abs=1e-7)


def test_joint_is_position_times_colour(truth):
    x = truth.sample(50, generator=seeded()).reshape(5, 10, 5)
    joint = truth.log_prob(x)
    assert joint.shape == (5, 10) and joint.dtype == torch.float64
    position, colour = x[..., :2], x[..., 2:]
    expected = truth.log_prob_position(position) + truth.log_prob_colour(colour, position)
    torch.testing.assert_close(joint, expected, rtol=0, atol=0)


def chi_square(draws, truth):
    """p-values of each channel's levels at each pixel of SHAPE, against the density."""
    pixel = (draws[:, :2] * 2).floor().long()
    level = (draws[:, 2:] * 255).floor().long()
    for channel in range(3):
        statistic, freedom = 0.0, -1
        for column, row in SHAPE.nonzero().tolist():
            here = (pixel == torch.tensor([column, row])).all(-1)
            seen = torch.bincount(level[here, channel], minlength=256).numpy()
            # the density along one channel, the others held: their share is what is left over
            grid = torch.full((256, 5), 100.5 / 255, dtype=torch.float64)
            grid[:, :2] = (torch.tensor([column, row]) + 0.5) / 2
            grid[:, 2 + channel] = (LEVEL + 0.5) / 255
            others = 0.0
            for other, mean in enumerate(means((column + 0.5) / 2, (row + 0.5) / 2)):
                if other != channel:
                    others += math.log(255 * np.diff(norm.cdf(np.array([99.5, 100.5]), mean, 40))[0])
            expected = len(draws) * (truth.log_prob(grid) - others).exp().numpy() / 4 / 255
            large = expected >= 5
            rest = np.append(expected[large], expected[~large].sum())
            counted = np.append(seen[large], seen[~large].sum())
            rest, counted = rest[rest > 0], counted[rest > 0]
            statistic += ((counted - rest) ** 2 / rest).sum()
            freedom += len(rest)
        yield chi2.sf(statistic, freedom)


def test_draws_follow_the_density():
    truth = Glyph(SHAPE, 40.0)
    draws = truth.sample(200_000, generator=seeded())
    assert min(chi_square(draws, truth)) > 1e-3
    # and are spread evenly over their cells
    within = draws * torch.tensor([2, 2, 255, 255, 255]) % 1
    counts = torch.stack([torch.histc(column, 20, 0, 1) for column in within.T])
    assert chi2.sf(((counts - 10_000) ** 2 / 10_000).sum(-1).numpy(), 19).min() > 1e-3


def test_drawn_levels_are_rounded_as_the_density_says():
    draws = Glyph(SHAPE, 4.0).sample(100_000, generator=seeded())
    for column, row in SHAPE.nonzero().tolist():
        here = ((draws[:, :2] * 2).floor() == torch.tensor([column, row])).all(-1)
        level = (draws[here, 2:] * 255).floor()
        mean = torch.tensor(means((column + 0.5) / 2, (row + 0.5) / 2), dtype=torch.float64)
        expected = (LEVEL * _log_level(LEVEL, mean[:, None], 4.0).exp()).sum(-1)
        assert ((level.mean(0) - expected).abs() < 4 * 4.0 / len(level) ** 0.5).all()


def test_chi_square_notices_a_wrong_density():
    truth = Glyph(SHAPE, 40.0)
    for wrong in (Glyph(SHAPE, 41.0), Glyph(~SHAPE | SHAPE, 40.0)):
        assert max(chi_square(wrong.sample(200_000, generator=seeded()), truth)) < 1e-3


def test_draws_are_possible_and_come_from_their_generator(truth):
    before = torch.get_rng_state()
    x = truth.sample(20_000, generator=seeded())
    assert truth.log_prob(x).isfinite().all()
    assert torch.equal(x, truth.sample(20_000, generator=seeded()))
    assert not torch.equal(x, truth.sample(20_000, generator=seeded(1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_density_is_flat_on_a_cell_and_lattice_points_are_its_corner(truth):
    corner = truth.lattice(2000, seeded())
    spec = xyrgb().spec
    assert torch.equal(quantise(corner, spec), corner)
    steps = torch.tensor(spec.quantum, dtype=torch.float64)
    for u in (0.0, 0.3, 0.999):
        torch.testing.assert_close(truth.log_prob(corner + u * steps), truth.log_prob(corner), rtol=0, atol=0)
    torch.testing.assert_close(truth.log_prob(corner.float()), truth.log_prob(corner), rtol=0, atol=0)


def test_probability_of_a_lattice_point_is_density_times_cell(truth):
    corner = truth.lattice(1, seeded())
    pixel, level = (corner[0, :2] * 300).round(), (corner[0, 2:] * 255).round()
    mean = torch.tensor(means(*((pixel + 0.5) / 300).tolist()), dtype=torch.float64)
    expected = _log_level(level, mean, 12.0).sum() - math.log(len(truth.pixels))
    assert truth.log_prob(corner).item() + log_cell(xyrgb().spec) == pytest.approx(expected.item(), abs=1e-9)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [-1e-6, 256 / 255 + 1e-6, math.nan, math.inf, -math.inf, 1e300])
def test_outside_the_support_is_impossible(truth, place, value):
    x = truth.sample(3, generator=seeded())
    x[1, place] = value
    log_p = truth.log_prob(x)
    assert log_p[1] == -math.inf and log_p[[0, 2]].isfinite().all()


@pytest.mark.parametrize("position", [(-0.1, 0.2), (0.2, 1.0), (math.nan, 0.2)])
def test_outside_the_picture_a_position_is_impossible(position):
    assert SHAPE[0, 0]
    assert Glyph(SHAPE, 12.0).log_prob_position(torch.tensor(position)) == -math.inf


def test_off_the_letter_is_impossible_but_has_colours(truth):
    corner = torch.full((1, 5), 1e-3, dtype=torch.float64)
    assert truth.log_prob(corner) == -math.inf
    assert truth.log_prob_colour(corner[:, 2:], corner[:, :2]).isfinite()


def test_the_law_is_the_same_in_a_module_of_single_precision(truth):
    x = truth.sample(100, generator=seeded())
    single = Glyph(draw("π", 300), 12.0).float()
    torch.testing.assert_close(single.log_prob(x), truth.log_prob(x), rtol=0, atol=0)
    torch.testing.assert_close(single.sample(100, generator=seeded()), x, rtol=0, atol=0)


def test_no_pixel_is_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        Glyph(torch.zeros(3, 3, dtype=torch.bool), 12.0)
