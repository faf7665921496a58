import ast
import threading
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from gaussians import Drawn, Wrong, gaussian
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import flows.evaluation
from data.grf import grf
from data.memory import InMemory
from data.toys import gaussian_grid, moons
from flows.bases import StandardNormal
from flows.core import Batch, Compose, Density, Flow, Inverse, Sampler, Spec
from flows.evaluation.figures import png, training_figures
from flows.evaluation.plots import (
    coloured_panels,
    component_panels,
    corner_panels,
    densities,
    grid_warp,
    histogram_panels,
    is_picture,
    latent_panels,
    loss_curves,
    redrawn_panels,
    sample_panels,
)
from flows.evaluation.plots.features import feature, short
from flows.evaluation.plots.images import ends_of
from flows.evaluation.plots.style import GENERATED, REAL, class_colours, window
from flows.transforms.bounded import Rescale

ROWS = [
    {
        "step": float(step),
        "nll": 3.0 / step,
        "val_nll": 3.1 / step if step % 2 else None,
        "val_kl_to_truth": kl,
    }
    for step, kl in zip(range(1, 41), [None, 1.0, 0.1, -0.01] * 10, strict=True)
]


def drawn(figure):
    """The panels of a figure that has been through the renderer, where layout problems would surface."""
    figure.savefig("/dev/null", format="svg")
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]


def colour(rgba):
    from matplotlib.colors import to_hex

    return to_hex(rgba)


def labels(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def test_loss_curves_of_one_run():
    top, below = drawn(loss_curves({"run": ROWS}))
    assert [line.get_label() for line in top.get_lines()] == ["training", "validation"]
    train, validation = top.get_lines()
    assert len(train.get_xdata()) == 40
    assert len(validation.get_xdata()) == 20  # gaps are left out, not drawn as zero
    assert labels(top)[1] == labels(below)[1] == "nats"
    assert labels(below)[0] == "step"
    assert "KL" in below.get_title("left")
    assert below.get_yscale() == "log"
    assert below.get_xlim() == top.get_xlim()


def test_loss_curves_hide_no_more_than_the_first_steps():
    (axes,) = drawn(
        loss_curves({"run": [{"step": s, "nll": 1e6 if s == 0 else 1.0 + s % 2} for s in range(100)]})
    )
    low, high = axes.get_ylim()
    assert low < 1 < 2 < high < 3


def test_loss_curves_of_several_runs_have_a_colour_each():
    top, below = drawn(loss_curves({"a": ROWS, "b": ROWS[:20]}))
    colours = [line.get_color() for line in below.get_lines()]
    assert len(set(colours)) == 2
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["a", "b"]


def test_loss_curves_show_whatever_there_is():
    rows = [{"step": float(k), "lr": 0.1, "critic": 1.0, "val_energy": 1 / k} for k in (1, 2, 3)]
    (axes,) = drawn(loss_curves({"run": rows}))
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[1, 1 / 2, 1 / 3]]
    assert axes.get_title("left") == "energy"
    rows = [row | {"nll": 5.0, "energy": 2.0} for row in rows]  # training alone has an NLL
    top, below = drawn(loss_curves({"run": rows}))
    assert [line.get_label() for line in below.get_lines()] == ["training", "validation"]
    assert top.get_lines()[0].get_ydata().tolist() == [5.0, 5.0, 5.0]
    assert [axes.get_title("left") for axes in (top, below)] == ["Negative log-likelihood", "energy"]


def test_loss_curves_without_a_truth_are_one_panel():
    rows = [{"step": 1.0, "nll": 2.0, "val_nll": None}, {"step": 2.0, "nll": 1.0, "val_nll": None}]
    (axes,) = drawn(loss_curves({"run": rows}))
    assert labels(axes) == ("step", "nats")


def test_loss_curves_of_adversaries_follow_the_scores_and_are_shown_whole():
    rows = [{"step": float(s), "critic_loss": 50.0 - s, "nll": 1.0, "val_nll": 1.0} for s in range(60)]
    top, below = drawn(loss_curves({"run": rows}))
    assert top.get_title("left") == "Negative log-likelihood"
    assert below.get_title("left") == "Critic's loss"
    assert labels(below) == ("step", "")
    low, high = below.get_ylim()
    assert low <= -9.0 < 50.0 <= high


@pytest.mark.parametrize("shift", [0.0, 2.0], ids=["plain", "context"])
def test_latent_panels(shift):
    batch = (
        Drawn(gaussian(mean=5, std=2, shift=shift), n=300, labels=bool(shift))
        .source("test")
        .take(slice(None))
    )
    flow = gaussian(mean=5, std=2, shift=shift)
    figure = latent_panels(flow, batch, torch.arange(300) % 2, ("a", "b"), torch.Generator().manual_seed(0))
    data, latent, generated, noise = drawn(figure)
    assert labels(data) == labels(generated) == ("a", "b")
    assert labels(latent) == labels(noise) == ("z₁", "z₂")
    points = [torch.tensor(axes.collections[0].get_offsets()) for axes in (data, latent, generated, noise)]
    context = 0 if batch.context is None else shift * batch.context
    torch.testing.assert_close(points[0], batch.x)
    torch.testing.assert_close(points[1], (batch.x - 5 - context) / 2)
    torch.testing.assert_close(points[2], points[3] * 2 + 5 + context)  # each draw stands where it is carried
    assert len({tuple(colour) for colour in data.collections[0].get_facecolors().tolist()}) == 2
    assert data.collections[0].get_facecolors().tolist() == latent.collections[0].get_facecolors().tolist()


def test_latent_draws_bear_the_class_of_where_they_land():
    x = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    figure = latent_panels(gaussian(), Batch(x.repeat(50, 1)), torch.arange(100) % 2, ("a", "b"), generator)
    *_, noise = drawn(figure)
    left = torch.tensor(noise.collections[0].get_offsets())[:, 0] < 0
    colours = [tuple(colour) for colour in noise.collections[0].get_facecolors().tolist()]
    assert len(set(colours)) == 2
    assert len({(bool(side), colour) for side, colour in zip(left, colours, strict=True)}) == 2


@pytest.mark.parametrize(("high", "equal"), [(2.0, True), (50.0, False)])
def test_a_feature_of_another_unit_is_no_line_in_latent_panels(high, equal):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(200, 3, generator=g, dtype=torch.float64) * torch.tensor([1.0, high, 1.0])
    panel, latents, *_ = drawn(latent_panels(gaussian(3), Batch(x), None, ("a", "b", "c"), g))
    assert (panel.get_aspect() == 1) == equal
    assert latents.get_aspect() == 1
    assert np.ptp(panel.get_ylim()) == pytest.approx(np.ptp(panel.get_xlim()) / panel.get_aspect())
    assert np.ptp(panel.get_ylim()) < 1.3 * high
    assert panel.get_title("left") == "data x, 2 of 3 features"


def test_grid_warp_ends_in_data_space():
    flow = Flow(
        Compose([gaussian(mean=5, std=2).transform, gaussian(std=3).transform]), StandardNormal((2,)).double()
    )
    axes = drawn(grid_warp(flow, ("a", "b")))
    assert [each.get_title("left") for each in axes] == ["latent", "after 1 of 2", "data"]
    assert labels(axes[0]) == ("z₁", "z₂")
    assert labels(axes[-1]) == ("a", "b")
    first, last = (
        torch.from_numpy(np.array(each.collections[0].get_segments())) for each in (axes[0], axes[-1])
    )
    torch.testing.assert_close(last, first * 6 + 5)


def test_grid_warp_of_many_layers_chooses_six_stages():
    layers = Compose([gaussian(std=1.1).transform for _ in range(10)])
    flow = Flow(Compose([layers, Inverse(layers)]), StandardNormal((2,)).double())
    titles = [each.get_title("left") for each in drawn(grid_warp(flow, ("a", "b")))]
    assert len(titles) == 6
    assert (titles[0], titles[-1]) == ("latent", "data")


def test_densities_share_one_scale():
    batch = Batch(gaussian().sample(500, generator=torch.Generator().manual_seed(0)))
    figure = densities({"model": gaussian(std=0.5)}, gaussian(), batch, ("a", "b"), resolution=40)
    truth, model, log_truth, log_model = drawn(figure)
    assert [axes.get_title("left") for axes in (truth, model)] == ["truth", "model"]
    assert truth.images[0].get_clim() == model.images[0].get_clim()
    assert log_truth.images[0].get_clim() == log_model.images[0].get_clim()
    assert log_truth.images[0].get_clim()[0] > 0
    assert model.images[0].get_array().max() > 2 * truth.images[0].get_array().max()  # it is narrower
    assert labels(log_truth) == ("a", "b")


def test_densities_are_the_right_way_up():
    batch = Batch(torch.tensor([[0.0, 0.0], [4.0, 2.0]]).double())
    peak = Wrong(gaussian(), gaussian(mean=2.0))  # at (2, 2): the middle of a, the top of b
    truth = drawn(densities({}, peak, batch, ("a", "b"), resolution=21))[0]
    row, column = divmod(int(truth.images[0].get_array().argmax()), 21)
    assert truth.images[0].origin == "lower"
    assert column == 10
    assert row > 16


def test_under_contexts_the_density_has_their_mix():
    """Nine tenths of the points belong to one of two classes, and so does the mass that is drawn."""

    class Apart(Density):
        def log_prob(self, x, context=None):
            return gaussian().log_prob(x - 10 * context)

        def sample(self, n, context=None, generator=None):
            return torch.zeros(n, 2)

    context = (torch.arange(1000) % 10 == 0).double()[:, None]
    x = gaussian().sample(1000, generator=torch.Generator().manual_seed(0)) + 10 * context
    _, model, *_ = drawn(densities({"model": Apart()}, None, Batch(x, context), ("a", "b")))
    mass = model.images[0].get_array()
    half = mass.shape[1] // 2
    assert mass[:half, :half].sum() / mass.sum() == pytest.approx(0.9, abs=0.02)


def test_densities_without_a_truth_bin_the_points():
    batch = Batch(gaussian().sample(5000, generator=torch.Generator().manual_seed(0)))
    binned, model, *_ = drawn(densities({"model": gaussian()}, None, batch, ("a", "b")))
    assert "binned" in binned.get_title("left")
    left, right, low, high = binned.images[0].get_extent()
    area = (right - left) * (high - low)
    for axes in (binned, model):
        assert axes.images[0].get_array().mean() * area == pytest.approx(1, abs=0.03)  # the same unit


def test_densities_are_drawn_beyond_a_support_and_at_its_border():
    spec = Spec(("a", "b"), (2,), support=((0.0, 1.0),) * 2)
    flow = Flow(Compose([Rescale(spec)]), StandardNormal((2,))).double()
    x = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)).double()
    _, model, *_ = drawn(densities({"model": flow}, None, Batch(x), ("a", "b"), resolution=50))
    mass = model.images[0].get_array()
    low, high = model.images[0].get_extent()[:2]
    assert low < 0 < 1 < high
    middles = low + (high - low) * (np.arange(50) + 0.5) / 50
    assert ((mass[25] > 0) == ((middles > 0) & (middles < 1))).all()  # a pixel stands for its middle
    assert np.isfinite(mass).all()


def test_densities_in_one_dimension_are_curves():
    batch = Batch(gaussian(1).sample(500, generator=torch.Generator().manual_seed(0)))
    (axes,) = drawn(densities({"model": gaussian(1, std=1.2)}, gaussian(1), batch, ("a",)))
    assert labels(axes) == ("a", "density per unit of a")
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "held-out points",
        "truth",
        "model",
    }


def test_a_dollar_in_a_name_is_no_formula():
    name, batch = r"a_$\frac$_b", Batch(torch.randn(50, 2).double())
    drawn(loss_curves({name: ROWS, f"{name}2": ROWS}))
    drawn(densities({name: gaussian()}, None, batch, (name, name), resolution=8))
    drawn(densities({name: gaussian(1)}, None, Batch(batch.x[:, :1]), (name,), resolution=8))
    drawn(sample_panels(batch.x, batch.x, (name, name)))
    drawn(latent_panels(gaussian(), batch, None, (name, name), torch.Generator().manual_seed(0)))
    drawn(grid_warp(gaussian(), (name, name)))


def test_samples_stand_in_equal_axes():
    real, far = torch.randn(200, 2), torch.randn(200, 2) + 50
    left, right = drawn(sample_panels(real, far, ("a", "b")))
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    assert left.get_aspect() == right.get_aspect() == 1


def test_real_and_generated_have_the_same_two_colours_everywhere():
    assert REAL != GENERATED
    real, other = torch.randn(300, 3).double(), torch.randn(300, 3).double()
    figures = [sample_panels(real[:, :2], other[:, :2], ("a", "b")), component_panels(real, other)]
    for figure in figures:
        assert [colour(axes.collections[0].get_facecolors()[0]) for axes in drawn(figure)] == [
            REAL,
            GENERATED,
        ]
    spec = Spec(("a", "b", "c"), (3,))
    for figure in (histogram_panels(real, other, spec), corner_panels(real, other, spec)):
        assert [colour(patch.get_edgecolor()) for patch in figure.legends[0].get_patches()] == [
            REAL,
            GENERATED,
        ]
        assert [
            colour(step.get_facecolor() if step.get_fill() else step.get_edgecolor())
            for step in drawn(figure)[0].patches
        ] == [REAL, REAL, GENERATED]


def test_classes_have_colours_of_their_own():
    assert len(set(class_colours(torch.arange(8)))) == 8
    assert class_colours(None) == class_colours(torch.zeros(1, dtype=torch.long))[0]


def test_a_window_is_open_about_a_constant():
    assert window(torch.full((10, 1), 3.0)) == [(2.5, 3.5)]


def test_a_window_leaves_stray_points_out():
    cloud = torch.randn(2000, 1)
    ((low, high),) = window(torch.cat((cloud, torch.tensor([[1e4]]))))
    assert -5 < low < -2
    assert 2 < high < 5


@pytest.mark.parametrize(
    ("features", "panels", "note"), [(1, 1, 0), (4, 4, 0), (9, 9, 0), (64, 9, "the first 9 of 64 features")]
)
def test_each_feature_has_a_histogram_up_to_nine(features, panels, note):
    x = torch.randn(100, features).double()
    names = tuple(f"f{k}" for k in range(features))
    figure = histogram_panels(x, x, Spec(names, (features,)))
    assert [axes.get_xlabel() for axes in drawn(figure)] == [*names[:panels]]
    assert [text.get_text() for text in figure.legends[0].get_texts()][2:] == ([note] if note else [])


@pytest.mark.parametrize(("points", "bins"), [(10, 8), (100, 10), (900, 30), (10_000, 50)])
def test_few_points_have_few_bins(points, bins):
    spec = Spec(("a",), (1,))
    assert len(feature(spec, 0, torch.rand(points, dtype=torch.float64), 50).edges) == bins + 1


def test_of_few_cells_each_has_a_tick_of_its_own():
    spec = Spec(("a",), (1,), quantum=(1.0,), support=((1.0, 4.0),))
    x = torch.randint(1, 4, (300, 1)).double()
    [axes] = drawn(histogram_panels(x, x, spec))
    assert axes.get_xticks().tolist() == [1.5, 2.5, 3.5]  # the middles of their cells
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert max(axes.get_yticks()) <= 1


def test_histograms_are_shares_of_all_points_over_the_real_range():
    real = torch.linspace(0, 1, 1001).double()[:, None]
    wide = torch.linspace(-1, 3, 4001).double()[:, None]
    (axes,) = drawn(histogram_panels(real, wide, Spec(("a",), (1,))))
    low, high = axes.get_xlim()
    assert -0.2 < low < 0 < 1 < high < 1.2
    _, first, second = (step.get_data() for step in axes.patches)
    mass = [float(np.sum(step.values * np.diff(step.edges))) for step in (first, second)]
    assert mass == pytest.approx([1, (high - low) / 4], abs=2e-3)
    assert [text.get_text() for text in axes.texts] == ["71% of draws outside"]


def test_histograms_end_at_the_support():
    x = torch.rand(500, 1).double()
    bounded, free = (
        drawn(histogram_panels(x, x, Spec(("a",), (1,), support=support)))[0] for support in (((0, 1),), None)
    )
    assert bounded.get_xlim() == (0, 1)
    assert free.get_xlim()[0] < 0 < 1 < free.get_xlim()[1]


@pytest.mark.parametrize(("step", "first"), [(None, 0.0), (1.0, 0.0)])
def test_histograms_end_at_a_single_end(step, first):
    spec = Spec(("a",), (1,), support=((0.0, None),), quantum=(step,))
    real = torch.randn(500, generator=torch.Generator().manual_seed(0)).double().exp().floor()
    shown = feature(spec, 0, real, 50).limits
    assert shown[0] == first
    assert shown[1] > real.quantile(0.9)


@given(st.floats(1e-3, 1e3), st.integers(1, 400), st.integers(-50, 50))
def test_each_bin_of_a_lattice_holds_the_same_number_of_cells(step, cells, first):
    low = first * step
    spec = Spec(("a",), (1,), support=((low, low + cells * step),), quantum=(step,))
    real = low + step * torch.arange(cells).double()  # each cell once
    shown = feature(spec, 0, real, 50)
    counts = torch.histogram(real + shown.centre, torch.tensor(shown.edges, dtype=torch.float64)).hist
    assert shown.edges[0] == pytest.approx(low, abs=1e-9 * step * 50)
    assert len(counts) <= 50
    assert len(set(counts[:-1].tolist())) <= 1
    assert counts[-1] <= counts[0]
    assert counts.sum() == cells


def test_a_categorical_axis_bears_the_names_of_its_levels():
    x = torch.arange(3).double().repeat(10)[:, None]
    levels = ("cat", "$x$", "a name of twenty-odd letters")
    spec = Spec(("kind",), (1,), support=((0.0, 3.0),), quantum=(1.0,), levels=(levels,))
    (axes,) = drawn(histogram_panels(x, x, spec))
    assert axes.get_xticks().tolist() == [0.5, 1.5, 2.5]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cat", r"\$x\$", "a name of…"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.1 + 0.2, "0.3"), (99_999, "99999"), (-250_000, "−2.5e5"), (1.5e-7, "1.5e−7")]
)
def test_ticks_are_short(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("names", "answer"),
    [("xyrgb", True), ("xyzrgb", True), ("xrgb", False), ("rgbxy", False), ("xybgr", False)],
)
def test_a_picture_is_known_by_its_names(names, answer):
    assert is_picture(Spec((*names,), (len(names),))) == answer


def painted(width, height):
    """A picture's points, one a pixel, red growing to the right and green upwards; and its spec."""
    spec = Spec(
        (*"xyrgb",),
        (5,),
        support=((0.0, 1.0),) * 2 + ((0.0, 256 / 255),) * 3,
        quantum=(1 / width, 1 / height) + (1 / 255,) * 3,
    )
    column, row = torch.cartesian_prod(torch.arange(width), torch.arange(height)).double().T
    red, green = (column * 7 % 256) / 255, (row * 11 % 256) / 255
    return torch.stack((column / width, row / height, red, green, torch.ones_like(red)), 1), spec


def test_coloured_points_bear_their_own_colours_in_equal_axes():
    x, spec = painted(20, 10)
    other = x.clone()
    other[:, 2] = 3.0  # beyond the range: as red as can be
    left, right = drawn(coloured_panels(x, other, spec))
    assert left.get_xlim() == right.get_xlim() == (0, 1)
    assert left.get_ylim() == right.get_ylim() == (0, 1)
    assert left.get_aspect() == right.get_aspect() == pytest.approx(0.5)  # twice as wide as high
    points = left.collections[0]
    torch.testing.assert_close(torch.tensor(points.get_offsets()), x[:, :2] + torch.tensor([0.025, 0.05]))
    torch.testing.assert_close(torch.tensor(points.get_facecolors())[:, :3], x[:, 2:])
    assert (right.collections[0].get_facecolors()[:, 0] == 1).all()


@pytest.mark.parametrize(("width", "height"), [(20, 10), (64, 64), (7, 31)])
def test_a_picture_redrawn_of_its_own_pixels_is_that_picture(width, height):
    x, spec = painted(width, height)
    draws = x.repeat(3, 1)[torch.randperm(3 * len(x), generator=torch.Generator().manual_seed(0))]
    for axes in drawn(redrawn_panels(x, draws, spec)):
        raster = torch.tensor(axes.images[0].get_array())
        assert raster.shape == (height, width, 4)
        expected = x[:, 2:].reshape(width, height, 3).transpose(0, 1)
        torch.testing.assert_close(raster[..., :3], expected)
        assert (raster[..., 3] == 1).all()
        assert axes.images[0].origin == "lower"
        assert axes.images[0].get_interpolation() == "none"
        assert axes.images[0].get_extent() == [0, 1, 0, 1]
        assert axes.get_aspect() == pytest.approx(height / width)


def test_a_redrawn_pixel_is_the_mean_of_its_points_and_empty_without_any():
    x, spec = painted(4, 4)
    x[:, 2:] = 0.0
    draws = x.repeat(3, 1)[:-1]  # each pixel thrice, the last but twice
    draws[:16, 2] = 0.75
    draws = draws[draws[:, :2].sum(1) > 0]  # none at the lower left
    _, generated = drawn(redrawn_panels(x, draws, spec))
    raster = torch.tensor(generated.images[0].get_array())
    assert raster[0, 0].tolist() == [0, 0, 0, 0]
    assert raster[1, 2].tolist() == pytest.approx([0.25, 0, 0, 1])
    assert raster[3, 3].tolist() == pytest.approx([0.375, 0, 0, 1])


def test_a_large_picture_is_redrawn_in_larger_pixels():
    x, spec = painted(640, 427)
    _, generated = drawn(redrawn_panels(x[:40_000], x[::7], spec))
    rows, columns, _ = generated.images[0].get_array().shape
    assert max(rows, columns) <= 150


@pytest.mark.parametrize(("points", "draws"), [(1000, 40_000), (40_000, 1000), (30_000, 30_000)])
def test_redrawn_pixels_are_so_large_that_both_kinds_of_points_fill_them(points, draws):
    x, spec = painted(300, 200)
    x = x[torch.randint(len(x), (max(points, draws),), generator=torch.Generator().manual_seed(0))]
    real, generated = (
        torch.tensor(axes.images[0].get_array()[..., 3])
        for axes in drawn(redrawn_panels(x[:points], x[:draws], spec))
    )
    assert real.mean() > 0.45
    assert generated.mean() > 0.75
    assert real.numel() > 0.3 * min(points / 0.7, draws / 1.5)  # and no larger


def test_a_picture_is_shown_where_its_points_are():
    x, spec = painted(40, 40)
    corner = x[(x[:, 0] < 0.25) & (x[:, 1] >= 0.5)]
    left, right = drawn(coloured_panels(corner, x, spec))
    assert left.get_xlim() == right.get_xlim() == pytest.approx((0, 0.275))
    assert left.get_ylim() == right.get_ylim() == pytest.approx((0.475, 1))


def test_colours_of_a_table_of_integers_are_eight_bits():
    x, spec = painted(4, 4)
    x[:, 2:] *= 255
    for support in (None, (None, None, (0.0, 256.0), (0.0, 256.0), (0.0, 256.0))):
        whole = spec._replace(support=support, quantum=(None, None, 1.0, 1.0, 1.0))
        points = drawn(coloured_panels(x, x, whole))[0].collections[0]
        torch.testing.assert_close(torch.tensor(points.get_facecolors())[:, :3], x[:, 2:] / 255)


def test_components_are_those_of_the_real_points_alone():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(500, 4, dtype=torch.float64, generator=generator) * torch.tensor([1.0, 10, 100, 1])
    real[:, 1] += 10 * real[:, 0]
    real[:, 3] = 5.0  # a constant has no scale of its own
    one, two = (drawn(component_panels(real, points)) for points in (real, real + 1e3))
    offsets = [torch.tensor(axes.collections[0].get_offsets()) for axes in (*one, *two)]
    torch.testing.assert_close(offsets[0], offsets[1])
    torch.testing.assert_close(offsets[0], offsets[2])
    assert not torch.allclose(offsets[1], offsets[3])
    assert [labels(axes) for axes in one] == [labels(axes) for axes in two]
    assert one[0].get_xlim() == one[1].get_xlim() == two[1].get_xlim()
    standard = (real - real.mean(0)) / real.std(0).clamp(min=1e-9)
    shares = torch.linalg.eigvalsh(torch.cov(standard.T)).flip(0)
    share = shares / shares.sum()
    assert labels(one[0]) == (f"component 1 ({share[0]:.0%})", f"component 2 ({share[1]:.0%})")
    torch.testing.assert_close(offsets[0].var(0), shares[:2])


@pytest.mark.parametrize(("features", "shown"), [(3, 3), (6, 6), (8, 6)])
def test_a_corner_has_a_panel_for_each_pair_of_at_most_six_features(features, shown):
    x = torch.randn(400, features, generator=torch.Generator().manual_seed(0)).double()
    names = tuple("abcdefgh"[:features])
    figure = corner_panels(x, x + 0.5, Spec(names, (features,)))
    axes = drawn(figure)
    assert len(axes) == shown * (shown + 1) // 2
    below = [each.get_xlabel() for each in axes[-shown:]]
    assert below == [*names[:shown]]
    assert not any(each.get_xlabel() for each in axes[:-shown])
    note = [text.get_text() for text in figure.legends[0].get_texts()][2:]
    assert note == ([f"the first 6 of {features} features"] if features > 6 else [])


def test_pairs_show_all_points_of_both_kinds_in_turns():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)).double()
    other = x[:300] + 100  # fewer, elsewhere
    _, pair, *_ = drawn(corner_panels(x, other, Spec(("a", "b", "c"), (3,))))
    points = torch.tensor(pair.collections[0].get_offsets())
    kinds = [colour(rgba) for rgba in pair.collections[0].get_facecolors()]
    assert [kind == GENERATED for kind in kinds] == (points[:, 0] > 50).tolist()
    assert kinds.count(REAL) == kinds.count(GENERATED) == 300
    assert 50 < kinds[:200].count(REAL) < 150  # neither covers the other
    shown = {tuple(point) for point in points[points[:, 0] > 50].tolist()}
    assert shown == {tuple(point) for point in other[:, :2].tolist()}
    assert pair.get_xlim()[1] < 50  # the real points' range


def test_draws_that_are_not_finite_are_left_out_and_counted():
    x, spec = painted(30, 30)
    bad = x.clone()
    bad[:90, 0], bad[90:180, 1], bad[180:270, 2] = float("nan"), float("inf"), -float("inf")
    coloured = drawn(coloured_panels(x, bad, spec))[1]
    assert len(coloured.collections[0].get_offsets()) == len(x) - 270
    _, raster = drawn(redrawn_panels(x, bad.repeat(3, 1), spec))
    assert raster.images[0].get_array()[..., 3].sum() == len(x) - 270
    first, *_ = drawn(histogram_panels(x, bad, spec))
    assert [text.get_text() for text in first.texts] == ["10% of draws outside"]
    drawn(corner_panels(x, bad, spec))
    drawn(component_panels(x, bad))


class Rounded(Sampler):
    """Draws the points of a picture in turn, spread over their cells, with no density to tell."""

    def __init__(self, x, spec):
        super().__init__()
        self.x, self.step = x, torch.tensor(spec.quantum)

    def sample(self, n, context=None, generator=None):
        x = self.x[torch.arange(n) % len(self.x)]
        return x + 0.9 * self.step * torch.rand(x.shape, generator=generator, dtype=x.dtype)


def test_training_figures_of_a_picture_without_a_density():
    x, spec = painted(20, 20)
    data = Drawn(gaussian(), known=False)
    data.spec = spec
    data.source = lambda part: (
        InMemory(x[{"train": slice(300), "val": slice(300, 400)}.get(part)]) if part != "test" else None
    )
    figures = training_figures(Rounded(x, spec), data, draws=1200)
    assert [*figures] == ["points", "picture", "histograms", "corner", "components"]
    points = drawn(figures["points"])[1].collections[0].get_offsets()
    torch.testing.assert_close(torch.tensor(points), x[:100, :2] + 0.025)  # draws are back on the lattice
    real, generated = (axes.images[0].get_array() for axes in drawn(figures["picture"]))
    assert real.shape == (20, 20, 4)
    assert (real[..., 3] == 1).all()  # of all parts
    np.testing.assert_allclose(generated, real)


def test_training_figures_of_a_plane_without_a_density():
    x = gaussian().sample(50, generator=torch.Generator().manual_seed(0))
    sampler = Rounded(x, Spec(("a", "b"), (2,), quantum=(0.0, 0.0)))
    assert training_figures(sampler, Drawn(gaussian(), known=False)).keys() == {"samples"}


def test_a_flow_is_shown_lattice_points_spread_over_their_cells():
    data = Drawn(gaussian(2, std=3.0), n=300)
    data.spec = data.spec._replace(quantum=(1.0, 1.0))
    data.source = lambda part: InMemory(torch.arange(9.0).double()[:, None].repeat(20, 2))
    one, two = (drawn(training_figures(gaussian(2, std=3.0), data)["latent"]) for _ in range(2))
    x = torch.tensor(one[0].collections[0].get_offsets())
    assert ((x - x.floor()) > 0).all()
    torch.testing.assert_close(x.floor(), data.source("val").x)
    torch.testing.assert_close(torch.tensor(one[1].collections[0].get_offsets()) * 3, x)
    assert (one[0].collections[0].get_offsets() == two[0].collections[0].get_offsets()).all()


@pytest.mark.parametrize("points", [1, 2, 5])
def test_few_points_are_drawn_too(points):
    x, spec = painted(20, 20)
    data = Drawn(gaussian(), known=False)
    data.spec, data.source = spec, lambda part: InMemory(x[:points])
    for figure in training_figures(Rounded(x, spec), data, draws=50).values():
        drawn(figure)


def test_a_picture_file_is_small():
    x, spec = painted(150, 150)
    assert len(png(redrawn_panels(x[:20_000], x, spec))) < 300_000
    assert len(png(corner_panels(x, x, spec))) < 1_000_000


@pytest.mark.parametrize(
    ("features", "labelled", "expected"),
    [
        (1, False, {"density", "histograms"}),
        (2, False, {"density", "samples", "latent", "warp"}),
        (2, True, {"density", "samples", "latent", "warp"}),
        (3, False, {"histograms", "corner", "components", "latent"}),
    ],
)
def test_training_figures_are_those_that_make_sense(features, labelled, expected):
    model = gaussian(features, shift=2.0 if labelled else 0.0)
    figures = training_figures(model, Drawn(model, features, labels=labelled), points=200)
    assert figures.keys() == expected
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        panels = drawn(figure)
        assert any(all(labels(axes)) for axes in panels)
        assert name == "corner" or all(axes.get_title("left") or any(labels(axes)) for axes in panels)


def test_training_figures_of_a_density_that_is_no_flow():
    figures = training_figures(Wrong(gaussian(), gaussian()), Drawn(gaussian(), known=False), points=100)
    assert figures.keys() == {"density", "samples"}


def test_training_figures_of_arrays_are_none():
    data = Drawn(gaussian())
    data.spec = data.spec._replace(shape=(2, 2))
    assert training_figures(gaussian(), data) == {}


@pytest.mark.parametrize("channels", [1, 2])
def test_training_figures_of_fields(channels):
    data = grf(height=12, width=8, channels=channels, n_train=4, n_val=10, n_test=4)
    figures = training_figures(data.truth, data)
    each = {"fields"} if channels == 1 else {"fields_x0", "fields_x1"}
    assert figures.keys() == {*each, "crps", "spectra", "ranks"}
    for name in each:
        titles = [axes.get_title(loc="left") for axes in figures[name].axes]
        assert titles[:8] == ["context", "truth", "mean", "spread", *(f"sample {k}" for k in range(1, 5))]
        images = [axes.images[0] for axes in figures[name].axes[:8]]
        assert all(image.get_array().shape == (12, 8) for image in images)
        scales = {image.get_clim() for image, title in zip(images, titles, strict=False) if title != "spread"}
        assert len(scales) == 1
        (bar, spread) = [axes.get_ylabel() for axes in figures[name].axes[24:]]
        assert spread == f"spread of {bar}"
    assert len(figures["spectra"].axes) == channels
    for axes in figures["spectra"].axes:
        assert [line.get_label() for line in axes.lines] == ["real", "generated"]
        assert axes.get_xlabel() == "waves per field"


@final
class Copied(Sampler):
    """Draws of a dataset's own law, all of them wrong in one place."""

    def __init__(self, law, channel, row, column):
        super().__init__()
        self.law, self.place = law, (..., channel, row, column)

    def sample(self, n, context=None, generator=None):
        drawn = self.law.sample(n, context, generator)
        drawn[self.place] += 3
        return drawn


def test_the_map_of_crps_shows_where_the_model_is_worse():
    data = grf(height=8, width=12, channels=2, n_train=4, n_val=40)
    shown = drawn(training_figures(Copied(data.truth, 1, 2, 9), data)["crps"])
    assert [axes.get_title("left") for axes in shown] == [
        *("x0: model", "exact law", "model less law"),
        *("x1: model", "exact law", "model less law"),
    ]
    *_, law, lost = (axes.images[0] for axes in shown)
    model = shown[3].images[0]
    assert model.get_clim() == law.get_clim()
    assert lost.get_clim()[0] == -lost.get_clim()[1]
    assert np.unravel_index(lost.get_array().argmax(), (8, 12)) == (2, 9)
    assert lost.get_array().max() > 1
    np.testing.assert_allclose(lost.get_array(), model.get_array() - law.get_array())
    labels = {axes.get_ylabel() for axes in shown[0].figure.axes if axes.get_label() == "<colorbar>"}
    assert labels == {"CRPS of x0", "CRPS of x1", "more CRPS"}


def test_every_channel_and_all_of_the_context_are_shown_without_a_law_too():
    data = grf(height=8, width=8, channels=3, relief=0.5, n_train=4, n_val=40)
    law, data.truth = data.truth, None
    data.spec = data.spec._replace(names=("seen", "x/1", "x2"), context_names=("a", "b", "low_x2", "c", "d"))
    figures = training_figures(law, data)
    assert [*figures] == ["fields_seen", "fields_1", "fields_x2", "context", "crps", "spectra", "ranks"]
    first = {name: drawn(figures[name])[0].get_title("left") for name in list(figures)[:3]}
    assert [*first.values()] == ["truth", "truth", "context"]
    assert [axes.get_title("left") for axes in drawn(figures["context"])[:4]] == ["a", "b", "c", "d"]
    context = data.source("val").take(slice(0, 1)).context[0]
    for axes, channel in zip(drawn(figures["context"]), (0, 1, 3, 4), strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), context[channel])
    for name in ("crps", "spectra"):
        assert [axes.get_title("left") for axes in drawn(figures[name])] == ["seen", "x/1", "x2"]


def test_figures_of_one_run_compare():
    data, state = moons(n_train=10, n_val=100, n_test=10), torch.get_rng_state()
    one, two = (training_figures(gaussian(), data)["samples"] for _ in range(2))
    for a, b in zip(one.axes, two.axes, strict=True):
        assert (a.collections[0].get_offsets() == b.collections[0].get_offsets()).all()
    assert torch.equal(torch.get_rng_state(), state)


def test_figures_are_drawn_in_threads():
    figures = []

    def draw():
        figures.append(training_figures(gaussian(), Drawn(gaussian(), n=50))["density"])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(figure.axes) for figure in figures] == [len(figures[0].axes)] * 4


def test_nothing_here_touches_pyplot_or_global_settings():
    for path in Path(flows.evaluation.__file__).parent.rglob("*.py"):
        names = {
            node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        }
        assert not {"rcParams", "rc_context", "use"} & names, path
        assert "pyplot" not in path.read_text(), path


def test_what_isnt_finite_places_no_window():
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    spoilt = torch.cat((x, torch.tensor([[torch.nan, 0.0], [0.0, torch.inf]])))
    assert window(spoilt) == window(x)
    assert window(torch.full((3, 2), torch.nan)) == window(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))


def test_modes_between_the_points_of_the_grid_are_drawn():
    data = gaussian_grid(n_train=4, n_val=4, n_test=100, noise=0.001, spacing=1000.0)
    batch = data.source("test").take(slice(None))
    drawn(densities({"model": gaussian()}, data.truth, batch, ("x", "y")))


def test_fields_beyond_the_size_that_quantiles_take():
    assert ends_of(torch.rand(2**24 + 1)) == pytest.approx((0.005, 0.995), abs=1e-3)
