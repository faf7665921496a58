import ast
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from gaussians import Drawn, Wrong, gaussian
from matplotlib.figure import Figure

import flows.evaluation
from data.toys import moons
from flows.bases import StandardNormal
from flows.core import Batch, Compose, Flow, Inverse
from flows.evaluation.figures import training_figures
from flows.evaluation.plots import densities, grid_warp, latent_panels, loss_curves, sample_panels
from flows.evaluation.plots.style import class_colours, window

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


def test_loss_curves_without_a_truth_are_one_panel():
    rows = [{"step": 1.0, "nll": 2.0, "val_nll": None}, {"step": 2.0, "nll": 1.0, "val_nll": None}]
    (axes,) = drawn(loss_curves({"run": rows}))
    assert labels(axes) == ("step", "nats")


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


def test_densities_without_a_truth_bin_the_points():
    batch = Batch(gaussian().sample(5000, generator=torch.Generator().manual_seed(0)))
    binned, model, *_ = drawn(densities({"model": gaussian()}, None, batch, ("a", "b")))
    assert "binned" in binned.get_title("left")
    left, right, low, high = binned.images[0].get_extent()
    area = (right - left) * (high - low)
    for axes in (binned, model):
        assert axes.images[0].get_array().mean() * area == pytest.approx(1, abs=0.03)  # the same unit


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


def test_classes_have_colours_of_their_own():
    assert len(set(class_colours(torch.arange(8)))) == 8
    assert class_colours(None) == class_colours(torch.zeros(1, dtype=torch.long))[0]


def test_a_window_leaves_stray_points_out():
    cloud = torch.randn(2000, 1)
    ((low, high),) = window(torch.cat((cloud, torch.tensor([[1e4]]))))
    assert -5 < low < -2
    assert 2 < high < 5


@pytest.mark.parametrize(
    ("features", "labelled", "expected"),
    [
        (1, False, {"density", "samples"}),
        (2, False, {"density", "samples", "latent", "warp"}),
        (2, True, {"density", "samples", "latent", "warp"}),
        (3, False, {"samples", "latent"}),
    ],
)
def test_training_figures_are_those_that_make_sense(features, labelled, expected):
    model = gaussian(features, shift=2.0 if labelled else 0.0)
    figures = training_figures(model, Drawn(model, features, labels=labelled), points=200)
    assert figures.keys() == expected
    for figure in figures.values():
        assert isinstance(figure, Figure)
        panels = drawn(figure)
        assert any(all(labels(axes)) for axes in panels)
        assert all(axes.get_title("left") or any(labels(axes)) for axes in panels)


def test_training_figures_of_a_density_that_is_no_flow():
    figures = training_figures(Wrong(gaussian(), gaussian()), Drawn(gaussian(), known=False), points=100)
    assert figures.keys() == {"density", "samples"}


def test_training_figures_of_pictures_are_none():
    data = Drawn(gaussian())
    data.spec = data.spec._replace(shape=(1, 2, 2))
    assert training_figures(gaussian(), data) == {}


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
