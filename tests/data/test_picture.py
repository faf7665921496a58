"""Pictures of every kind come in as the same 8-bit colours, or are refused in one line."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.picture import LIMIT, luminance, read
from flows.errors import UserError

RANDOM = np.random.default_rng(0)
RGBA = RANDOM.integers(0, 256, (5, 7, 4), np.uint8)
RGB, GREY, ALPHA = RGBA[..., :3], RGBA[..., 0], RGBA[..., 3]
BITS = GREY > 127
DEEP = np.array([[0, 128, 129, 257], [385, 386, 32_767, 32_768], [65_000, 65_406, 65_407, 65_535]])
SHALLOW = np.array([[0, 0, 1, 1], [1, 2, 127, 128], [253, 254, 255, 255]])  # DEEP / 257, rounded
FLOATS = np.array([[0.0, 0.25], [0.6, 1.0]], np.float32)
FLOATS_AS_BYTES = np.array([[0, 64], [153, 255]])
INKS = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 51, 0, 0], [9, 9, 9, 255], [0, 0, 0, 102]]], np.uint8)
INKS_AS_LIGHT = np.array(
    [[[255, 255, 255], [0, 255, 255], [255, 204, 255], [0, 0, 0], [153, 153, 153]]], np.uint8
)
ENDS = np.array([[[0, 128, 128], [255, 128, 128]]], np.uint8)  # black and white in YCbCr
PLACES = np.arange(35, dtype=np.uint8).reshape(5, 7) % 4
PALETTE = np.array([[10, 20, 30], [200, 100, 0], [0, 0, 255], [255, 255, 255]], np.uint8)


def rgba(colours, alpha=255):
    colours = np.asarray(colours)
    colours = colours if colours.ndim == 3 else np.stack([colours] * 3, -1)
    return np.concatenate([colours, np.broadcast_to(alpha, colours.shape[:2])[..., None]], -1)


def paletted(**info):
    picture = Image.fromarray(PLACES)
    picture.putpalette(PALETTE.tobytes())
    picture.info.update(info)
    return picture


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, depth, kind, rows=None, extra=b""):
    """A PNG by hand, for what Pillow doesn't write; without its pixels unless rows are given."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = b"" if rows is None else chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + chunk(b"IEND", b"")


def merged(mode, bands):
    """A picture of this mode from bands (height, width, B)."""
    return Image.merge(mode, [Image.fromarray(band.copy()) for band in np.moveaxis(bands, -1, 0)])


KINDS = {
    "rgb.png": (Image.fromarray(RGB.copy()), {}, rgba(RGB)),
    "rgb.tiff": (Image.fromarray(RGB.copy()), {}, rgba(RGB)),
    "rgb.webp": (Image.fromarray(RGB.copy()), {"lossless": True}, rgba(RGB)),
    "rgb.bmp": (Image.fromarray(RGB.copy()), {}, rgba(RGB)),
    "rgb.ppm": (Image.fromarray(RGB.copy()), {}, rgba(RGB)),
    "lzw.tiff": (Image.fromarray(RGB.copy()), {"compression": "tiff_lzw"}, rgba(RGB)),
    "rgba.png": (Image.fromarray(RGBA), {}, RGBA),
    "rgba.tiff": (Image.fromarray(RGBA), {}, RGBA),
    "rgba.webp": (Image.fromarray(RGBA), {"lossless": True, "exact": True}, RGBA),
    "colour_key.png": (
        Image.fromarray(RGB.copy()),
        {"transparency": tuple(RGB[2, 3].tolist())},
        rgba(RGB, np.where((RGB[2, 3] != RGB).any(-1), 255, 0)),
    ),
    "grey.png": (Image.fromarray(GREY.copy()), {}, rgba(GREY)),
    "grey.tiff": (Image.fromarray(GREY.copy()), {}, rgba(GREY)),
    "grey_key.png": (
        Image.fromarray(GREY.copy()),
        {"transparency": int(GREY[1, 1])},
        rgba(GREY, np.where(GREY[1, 1] != GREY, 255, 0)),
    ),
    "grey_alpha.png": (merged("LA", RGBA[..., [0, 3]]), {}, rgba(GREY, ALPHA)),
    "palette.png": (paletted(), {}, rgba(PALETTE[PLACES])),
    "palette.gif": (paletted(), {}, rgba(PALETTE[PLACES])),
    "palette.tiff": (paletted(), {}, rgba(PALETTE[PLACES])),
    "palette_key.gif": (
        paletted(),
        {"transparency": 2},
        rgba(PALETTE[PLACES], np.where(PLACES == 2, 0, 255)),
    ),
    "palette_alpha.png": (
        paletted(),
        {"transparency": bytes([0, 100, 200])},
        rgba(PALETTE[PLACES], np.array([0, 100, 200, 255])[PLACES]),
    ),
    "bits.png": (Image.fromarray(BITS), {}, rgba(255 * BITS)),
    "bits.tiff": (Image.fromarray(BITS), {"compression": "group4"}, rgba(255 * BITS)),
    "cmyk.tiff": (merged("CMYK", INKS), {}, rgba(INKS_AS_LIGHT)),
    "ycbcr.tiff": (merged("YCbCr", ENDS), {}, rgba([[[0] * 3, [255] * 3]])),
    "deep.png": (Image.fromarray(DEEP.astype("<u2")), {}, rgba(SHALLOW)),
    "deep.tiff": (Image.fromarray(DEEP.astype("<u2")), {}, rgba(SHALLOW)),
    "deep_big_endian.tiff": (Image.fromarray(DEEP.astype(">u2")), {}, rgba(SHALLOW)),
    "deep_key.png": (
        Image.fromarray(DEEP.astype("<u2")),
        {"transparency": 386},
        rgba(SHALLOW, np.where(DEEP == 386, 0, 255)),
    ),
    "deep.pgm": (Image.fromarray(DEEP.astype(np.int32)), {}, rgba(SHALLOW)),
    "int32.tiff": (Image.fromarray(DEEP.astype(np.int32)), {}, rgba(SHALLOW)),
    "float.tiff": (Image.fromarray(FLOATS), {}, rgba(FLOATS_AS_BYTES)),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_exactly_its_colours(tmp_path, name):
    picture, options, expected = KINDS[name]
    picture.save(tmp_path / name, **options)
    found = read(str(tmp_path / name), "image")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_the_kinds_are_what_their_names_say(tmp_path):
    modes = {}
    for name in KINDS:
        picture, options, _ = KINDS[name]
        picture.save(tmp_path / name, **options)
        with Image.open(tmp_path / name) as opened:
            modes[name] = opened.mode
    expected = {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B", "F"}
    assert {*modes.values()} == expected


def test_grey_jpeg_and_its_luminance(tmp_path):
    Image.new("L", (16, 8), 77).save(tmp_path / "flat.jpg")
    found = read(str(tmp_path / "flat.jpg"), "image")
    np.testing.assert_array_equal(found, np.full((8, 16, 4), [77, 77, 77, 255]))
    np.testing.assert_array_equal(luminance(found), np.full((8, 16), np.float32(77 / 255)))


def test_inks_of_a_jpeg(tmp_path):
    Image.new("CMYK", (16, 8), (255, 0, 0, 0)).save(tmp_path / "cyan.jpg", quality=100)
    found = read(str(tmp_path / "cyan.jpg"), "image").astype(int)
    assert np.abs(found - [0, 255, 255, 255]).max() <= 2


def test_lab_is_converted_to_a_rounding(tmp_path):
    merged("LAB", ENDS).save(tmp_path / "lab.tiff")
    found = read(str(tmp_path / "lab.tiff"), "image").astype(int)
    assert np.abs(found - rgba([[[0] * 3, [255] * 3]])).max() <= 1


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4)])
def test_deep_colours_keep_their_upper_byte(tmp_path, kind, channels):
    values = RANDOM.integers(0, 2**16, (3, 2, channels)).astype(">u2")
    (tmp_path / "deep.png").write_bytes(png(2, 3, 16, kind, [row.tobytes() for row in values]))
    found = read(str(tmp_path / "deep.png"), "image")
    np.testing.assert_array_equal(found[..., :channels], values >> 8)


def test_luminance_is_rec_601_and_reaches_its_ends():
    colours = np.array([[[0] * 3, [255] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    expected = np.array([[0, 1, 0.299, 0.587, 0.114]], np.float32)
    np.testing.assert_array_equal(luminance(rgba(colours).astype(np.uint8)), expected)


UPRIGHT = {  # what a viewer does with what is stored
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "picture", "stored"),
    [
        ("a.png", Image.fromarray(RGB.copy()), rgba(RGB)),
        ("a.webp", Image.fromarray(RGB.copy()), rgba(RGB)),
        ("a.tiff", Image.fromarray(RGB.copy()), rgba(RGB)),
        ("lzw.tiff", Image.fromarray(RGB.copy()), rgba(RGB)),
        ("grey.tiff", Image.fromarray(GREY.copy()), rgba(GREY)),
        ("alpha.tiff", Image.fromarray(RGBA), RGBA),
        ("deep.png", Image.fromarray(DEEP.astype("<u2")), rgba(SHALLOW)),
        ("deep.tiff", Image.fromarray(DEEP.astype(">u2")), rgba(SHALLOW)),
        ("float.tiff", Image.fromarray(FLOATS), rgba(FLOATS_AS_BYTES)),
    ],
)
def test_pictures_stand_upright(tmp_path, orientation, name, picture, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"a.webp": {"lossless": True}, "lzw.tiff": {"compression": "tiff_lzw"}}.get(name, {})
    picture.save(tmp_path / name, exif=exif, **options)
    found = read(str(tmp_path / name), "image")
    np.testing.assert_array_equal(found, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tiff"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, name):
    first, second = Image.new("RGB", (8, 4), (255, 0, 0)), Image.new("RGB", (8, 4), (0, 0, 255))
    options = {"lossless": True} if name == "a.webp" else {}
    first.save(tmp_path / name, save_all=True, append_images=[second], **options)
    with Image.open(tmp_path / name) as opened:
        assert opened.n_frames == 2
    np.testing.assert_array_equal(read(str(tmp_path / name), "image"), np.full((4, 8, 4), [255, 0, 0, 255]))


def refusal(path):
    with pytest.raises(UserError) as caught:
        read(str(path), "mask")
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"dataset.mask={path}: ")
    return message


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.tiff", "lzw.tiff", "a.webp", "a.gif", "a.bmp", "a.ppm"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_short_is_refused(tmp_path, name, share):
    whole = Image.fromarray(RANDOM.integers(0, 256, (60, 50, 3), np.uint8))
    whole.save(tmp_path / name, **({"compression": "tiff_lzw"} if name.startswith("lzw") else {}))
    content = (tmp_path / name).read_bytes()
    read(str(tmp_path / name), "image")
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    assert "broken or cut short" in refusal(tmp_path / name) or "not a picture" in refusal(tmp_path / name)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.png", "empty.png"):
        assert "not a picture that Pillow knows; give a PNG" in refusal(tmp_path / name)
    assert "no such file" in refusal(tmp_path / "none.png")
    assert "a folder" in refusal(tmp_path)
    assert "null" in refusal(tmp_path / "a\0b")


def test_what_a_decoder_says_comes_on_one_line(tmp_path, monkeypatch):
    def complain(file):
        raise OSError("first\nsecond")

    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr(Image, "open", complain)
    assert refusal(tmp_path / "a.png").endswith("broken or cut short: first second")


def test_postscript_is_not_run(tmp_path):
    Image.fromarray(RGB.copy()).save(tmp_path / "a.eps")
    assert "PostScript" in refusal(tmp_path / "a.eps")


@pytest.mark.parametrize("side", [8_193, 9_460, 12_000, 30_000, 2**31 - 1])
def test_a_forged_header_is_refused_before_decoding(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2))
    assert f"more than {LIMIT:,} pixels; scale" in refusal(tmp_path / "bomb.png")


def test_the_largest_picture_is_tried(tmp_path):
    (tmp_path / "large.png").write_bytes(png(8_192, 8_192, 8, 0))
    assert "cut short" in refusal(tmp_path / "large.png")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (
            np.array([[0, 70_000]], np.int32),
            "grey from 0 to 70000, but int32 grey must lie between 0 and 65535",
        ),
        (np.array([[-1, 5]], np.int32), "grey from -1 to 5"),
        (np.array([[0, 255]], np.float32), "grey from 0 to 255, but float32 grey must lie between 0 and 1"),
        (np.array([[-0.5, 1]], np.float32), "grey from -0.5 to 1"),
        (np.array([[0, np.nan]], np.float32), "grey from nan to nan"),
    ],
)
def test_grey_out_of_range_is_refused_rather_than_clipped(tmp_path, values, what):
    Image.fromarray(values).save(tmp_path / "a.tiff")
    assert what in refusal(tmp_path / "a.tiff")


def test_warnings_of_odd_files_stay_inside(tmp_path):
    path = tmp_path / "odd.png"
    Image.fromarray(RGBA).save(path)
    odd = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x05\x01")  # five entries announced, none there
    content = path.read_bytes()
    path.write_bytes(content[:33] + odd + content[33:])
    with pytest.warns(UserWarning, match="EXIF"), Image.open(path) as opened:
        opened.getexif()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(str(path), "image"), RGBA)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    files = []
    for name in ("a.png", "a.jpg", "a.tiff", "a.webp", "a.gif"):
        Image.fromarray(RGB.copy()).save(folder / name)
        files.append((folder / name).read_bytes())
    return folder, files


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_read_or_refused_in_one_line(samples, data):
    folder, files = samples
    content = bytearray(data.draw(st.sampled_from(files)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "damaged").write_bytes(content)
    try:
        assert read(str(folder / "damaged"), "image").shape[2] == 4
    except UserError as error:
        assert "\n" not in str(error)
