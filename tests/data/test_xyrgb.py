"""Points of a picture: where they lie, which pixels they are, what is refused."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import ConfigDict, ValidationError, validate_call

from data.xyrgb import xyrgb
from flows.errors import UserError
from flows.lattice import dequantise, quantise

PARTS = ("train", "val", "test")
RANDOM = np.random.default_rng(1)
WIDTH, HEIGHT = 6, 4
COLOURS = RANDOM.permutation(256)[: HEIGHT * WIDTH * 3].reshape(HEIGHT, WIDTH, 3).astype(np.uint8)


def everything(points):
    return torch.cat([points.source(part).x for part in PARTS])


def rows(x):
    return sorted(map(tuple, x.tolist()))


def pixels(points, width=WIDTH, height=HEIGHT):
    """Column and row from the top of each point, as a set."""
    x = everything(points)
    column = (x[:, 0] * width).round().long()
    row = height - 1 - (x[:, 1] * height).round().long()
    return {*zip(row.tolist(), column.tolist(), strict=True)}


def where(mask):
    return {*zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True)}


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(COLOURS).save(path)
    return str(path)


@pytest.fixture
def listed(tmp_path, image):
    def write(xs, ys):
        for name, values in {"xs": xs, "ys": ys}.items():
            np.save(tmp_path / f"{name}.npy", values)
        return {"image": image, "xs": str(tmp_path / "xs.npy"), "ys": str(tmp_path / "ys.npy")}

    return write


@pytest.fixture
def every_pixel(listed):
    first, second = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    return listed(first, second)


def refusal(**arguments):
    with pytest.raises(UserError) as caught:
        xyrgb(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_file_says_what_it_is_and_repeats_the_signature():
    path = Path(__file__).parents[2] / "conf" / "dataset" / "xyrgb.yaml"
    config = yaml.safe_load(path.read_text())
    assert path.read_text().startswith("# ")
    assert config.pop("_target_") == "data.xyrgb.xyrgb"
    defaults = {key: parameter.default for key, parameter in inspect.signature(xyrgb).parameters.items()}
    assert config == defaults and [*config] == [*defaults]
    validate_call(config=ConfigDict(strict=True))(xyrgb)(**config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"where": "light"},
        {"threshold": 1.1},
        {"threshold": -0.1},
        {"noise": 0.0},
        {"noise": 101.0},
        {"noise": float("nan")},
        {"val": 1.0},
        {"seed": -1},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        validate_call(config=ConfigDict(strict=True))(xyrgb)(**wrong)


def test_without_a_picture_it_is_the_letter_with_its_law():
    points = xyrgb()
    assert [len(points.source(part)) for part in PARTS] == [3500, 500, 1000]
    assert points.spec.names == ("x", "y", "r", "g", "b") and points.spec.shape == (5,)
    assert points.spec.quantum == (1 / 300, 1 / 300, 1 / 255, 1 / 255, 1 / 255)
    assert points.spec.support == ((0, 1), (0, 1), *[(0, 256 / 255)] * 3)
    assert points.spec.dtypes is None and points.spec.levels is None and points.spec.context_shape is None
    x = everything(points)
    assert x.dtype == torch.float64 and points.truth.log_prob(x).isfinite().all()
    assert (everything(xyrgb(noise=50.0))[:, 2:] == 0).any() and not (x[:, 2:] == 0).any()


def test_a_picture_has_no_truth_and_its_own_lattice(image):
    spec = xyrgb(image=image).spec
    assert xyrgb(image=image).truth is None
    assert spec.quantum == (1 / WIDTH, 1 / HEIGHT, 1 / 255, 1 / 255, 1 / 255)
    assert spec.support == ((0, 1), (0, 1), *[(0, 256 / 255)] * 3)


def test_points_stand_upright_and_keep_their_colours(image):
    x = everything(xyrgb(image=image))
    column, up = (x[:, 0] * WIDTH).round().long(), (x[:, 1] * HEIGHT).round().long()
    colours = torch.from_numpy(COLOURS)[HEIGHT - 1 - up, column]
    torch.testing.assert_close(x[:, 2:] * 255, colours.double(), rtol=0, atol=1e-9)
    lowest_left = x[(column == 0) & (up == 0)]
    assert len(lowest_left) and (lowest_left[:, :2] == 0).all()
    assert (lowest_left[:, 2:] * 255 - torch.from_numpy(COLOURS[-1, 0])).abs().max() < 1e-9


def test_pixels_are_drawn_evenly_and_with_replacement(image):
    x = everything(xyrgb(image=image, n=24_000))
    _, counts = x.unique(dim=0, return_counts=True)
    assert len(counts) == WIDTH * HEIGHT
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # χ² with 23 degrees of freedom: p > 0.001
    few = everything(xyrgb(image=image, n=24))
    assert len(few.unique(dim=0)) < 24


def policy_pictures(tmp_path):
    grey = np.array([[0, 50, 100], [127, 128, 255]], np.uint8)
    alpha = np.array([[255, 255, 127], [128, 255, 0]], np.uint8)
    picture = np.stack([grey, grey, grey, alpha], -1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture[::-1].copy()).save(tmp_path / "mask.png")
    return grey, alpha, {"image": str(tmp_path / "a.png")}


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 128 / 255, 0.6, 1.0])
@pytest.mark.parametrize("policy", ["opaque", "dark", "bright", "mask", "everywhere"])
def test_where_chooses_the_pixels(tmp_path, policy, threshold):
    grey, alpha, picture = policy_pictures(tmp_path)
    mask = {"mask": str(tmp_path / "mask.png")} if policy == "mask" else {}
    bright, visible = grey / 255 >= threshold, alpha >= 128
    expected = {
        "opaque": alpha / 255 >= threshold,
        "dark": ~bright & visible,
        "bright": bright & visible,
        "mask": (bright & visible)[::-1],
        "everywhere": np.ones_like(bright),
    }[policy]
    chosen = {} if policy == "everywhere" else {"threshold": threshold}
    arguments = {**picture, **mask, **chosen, "where": policy}
    if expected.any():
        assert pixels(xyrgb(**arguments, n=2000), 3, 2) == where(expected)
    else:
        assert f"no pixel to draw for where={policy} at threshold={threshold}; " in refusal(**arguments)


@pytest.mark.parametrize(
    ("policy", "threshold", "help"),
    [
        ("opaque", 1.0, "lower dataset.threshold, or say dataset.where=everywhere"),
        ("dark", 0.0, "raise dataset.threshold, or say dataset.where=everywhere"),
        ("bright", 1.0, "lower dataset.threshold, or say dataset.where=everywhere"),
        ("mask", 1.0, "lower dataset.threshold, or give another dataset.mask"),
    ],
)
def test_where_nothing_is_left_the_refusal_says_what_helps(tmp_path, policy, threshold, help):
    Image.new("RGBA", (3, 2), (100, 100, 100, 200)).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    mask = {"mask": path} if policy == "mask" else {}
    assert help in refusal(image=path, where=policy, threshold=threshold, **mask)


def test_a_mask_of_another_size_is_refused_with_both(tmp_path, image):
    Image.new("L", (HEIGHT, WIDTH), 255).save(tmp_path / "mask.png")
    message = refusal(image=image, where="mask", mask=str(tmp_path / "mask.png"))
    assert f"{HEIGHT} x {WIDTH} pixels, but the picture has {WIDTH} x {HEIGHT}" in message
    assert "dataset.mask=none.png: no such file" in refusal(image=image, where="mask", mask="none.png")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"where": "dark"}, "dataset.where=dark is for a picture.*give dataset.image=PATH"),
        ({"mask": "m.png", "where": "mask"}, "dataset.mask=m.png is for a picture"),
        ({"xs": "a.npy", "ys": "b.npy"}, "dataset.xs=a.npy is for a picture"),
        ({"image": "a.png", "xs": "a.npy"}, "dataset.xs=a.npy needs.*dataset.ys=PATH"),
        ({"image": "a.png", "ys": "a.npy"}, "dataset.ys=a.npy needs.*dataset.xs=PATH"),
        ({"image": "a.png", "xs": "a", "ys": "b", "where": "dark"}, "dataset.where=dark chooses.*drop"),
        ({"image": "a.png", "xs": "a", "ys": "b", "where": "everywhere"}, "dataset.where=everywhere chooses"),
        ({"image": "a.png", "xs": "a", "ys": "b", "mask": "m", "where": "mask"}, "dataset.mask=m chooses"),
        ({"image": "a.png", "mask": "m.png"}, "dataset.mask=m.png is for.*where=opaque; change either"),
        ({"image": "a.png", "where": "mask"}, "dataset.where=mask needs a mask; give dataset.mask=PATH"),
        ({"image": "none.png"}, "dataset.image=none.png: no such file"),
        ({"n": 2}, "leave none for val"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, what):
    with pytest.raises(UserError, match=what):
        xyrgb(**arguments)


def test_listed_points_are_those_of_the_arrays(every_pixel):
    points = xyrgb(**every_pixel, n=7)
    first, second = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    expected = np.column_stack([first / WIDTH, second / HEIGHT, COLOURS[first, second] / 255])
    found = np.array(rows(everything(points)))
    np.testing.assert_allclose(found, np.array(rows(torch.from_numpy(expected))), rtol=0, atol=1e-12)
    assert points.truth is None


def test_listed_points_have_a_support_of_whole_cells(every_pixel):
    spec = xyrgb(**every_pixel).spec
    assert spec.quantum == (1 / WIDTH, 1 / HEIGHT, 1 / 255, 1 / 255, 1 / 255)
    assert spec.support == ((0, 1), (0, WIDTH / HEIGHT), *[(0, 256 / 255)] * 3)


def test_parts_share_no_point_and_lose_none(every_pixel):
    points = xyrgb(**every_pixel, val=0.25, test=0.25)
    parts = [{*rows(points.source(part).x)} for part in PARTS]
    assert [*map(len, parts)] == [12, 6, 6]
    assert len(set.union(*parts)) == HEIGHT * WIDTH


@pytest.mark.parametrize("kind", ["uint8", "uint64", "int16", ">i4"])
def test_any_integers_may_list_points(listed, kind):
    found = everything(xyrgb(**listed(np.arange(3, dtype=kind), np.arange(3, dtype=kind)), val=0.4, test=0.3))
    assert (found[:, 0] * WIDTH).round().sort().values.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("xs", "ys", "what"),
    [
        ([0, 4], [0, 0], "xs.npy: from 0 to 4, but the picture's axis goes from 0 to 3"),
        ([0, -1], [0, 0], "xs.npy: from -1 to 0"),
        ([0, 0], [0, 6], "ys.npy: from 0 to 6, but the picture's axis goes from 0 to 5"),
        ([2**64 - 1] * 2, [0, 0], f"from {2**64 - 1} to {2**64 - 1}"),
        ([0.0, 1.0], [0, 0], "xs.npy: float64 of shape"),
        ([True, False], [0, 0], "xs.npy: bool of shape"),
        ([[0, 1]], [0, 0], "int64 of shape (1, 2), but whole numbers (N,)"),
        (3, [0, 0], "int64 of shape ()"),
        ([0, 1], [0, 1, 2], "has 2 points, but dataset.ys="),
    ],
)
def test_wrong_lists_are_refused(listed, xs, ys, what):
    assert what in refusal(**listed(np.array(xs), np.array(ys)))


def test_empty_lists_are_refused(listed):
    nothing = np.zeros(0, np.int64)
    message = refusal(**listed(nothing, nothing))
    assert "no points; give at least one" in message


def test_what_is_no_array_is_refused(tmp_path, listed):
    arguments = listed(np.arange(3), np.arange(3))
    path, whole = Path(arguments["xs"]), Path(arguments["xs"]).read_bytes()
    contents = {
        "text": b"1 2 3",
        "empty": b"",
        "cut short": whole[:-4],
        "cut in the header": whole[:40],
        "forged": whole.replace(b"(3,), }            ", b"(3000000000000,), }"),
    }
    assert contents["forged"] != whole
    for content in contents.values():
        path.write_bytes(content)
        assert "not an array that numpy.save wrote" in refusal(**arguments)
    np.save(path, np.array([{}], object), allow_pickle=True)
    assert "not an array that numpy.save wrote" in refusal(**arguments)
    with path.open("wb") as file:
        np.savez(file, np.arange(3))
    assert "not an array that numpy.save wrote" in refusal(**arguments)
    path.unlink()
    assert "no such file" in refusal(**arguments)


@pytest.fixture(params=["drawn", "sampled", "listed"])
def case(request):
    fixtures = {"drawn": None, "sampled": "image", "listed": "every_pixel"}
    name = fixtures[request.param]
    value = None if name is None else request.getfixturevalue(name)
    return {"image": value} if isinstance(value, str) else value or {}


def test_seed_fixes_points_and_parts(case):
    first, again, other = (xyrgb(**case, n=500, seed=seed) for seed in (0, 0, 1))
    for part in PARTS:
        assert torch.equal(first.source(part).x, again.source(part).x)
        assert first.source(part).x.shape == other.source(part).x.shape
        assert not torch.equal(first.source(part).x, other.source(part).x)


@pytest.mark.parametrize("picture", [False, True])
def test_another_seed_draws_other_points(image, picture):
    first, other = (xyrgb(image=image if picture else None, n=500, seed=seed) for seed in (0, 1))
    assert rows(everything(first)) != rows(everything(other))


def test_building_touches_no_global_state(case):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    xyrgb(**case)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_points_are_on_the_lattice_and_their_cells_in_the_support(case):
    points = xyrgb(**case)
    x, spec = everything(points), points.spec
    low, high = torch.tensor(spec.support, dtype=torch.float64).T
    assert torch.equal(quantise(x, spec), x)
    spread = dequantise(x, spec, torch.Generator().manual_seed(0))
    assert not torch.equal(spread, x)
    assert (spread >= low).all() and (spread < high).all()
    half = x + torch.tensor(spec.quantum, dtype=torch.float64) / 2
    assert torch.equal(quantise(half, spec), x)


def test_what_would_change_nothing_is_refused(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    assert "dataset.noise=20.0 is for the drawn π" in refusal(image=path, noise=20.0)
    assert "dataset.threshold=0.4 is for a picture" in refusal(threshold=0.4)
    assert "where=everywhere takes all" in refusal(image=path, where="everywhere", threshold=0.4)
