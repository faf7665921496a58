"""Reading any picture as 8-bit colours and opacity."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.errors import UserError
from flows.wording import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

LIMIT = 2**26  # pixels, 8192 x 8192: more is a mistake, or meant to fill the memory


def read(path: str, key: str) -> NDArray[np.uint8]:
    """A picture as red, green, blue and alpha, upright; of an animation, the first frame.

    Any format and mode that Pillow opens. What has no alpha is opaque (255); a palette or a colour
    that is marked as transparent gives alpha. Then:

    - grey and 1-bit become equal r, g, b; palettes are looked up;
    - CMYK, YCbCr, HSV and L*a*b* become RGB as Pillow converts them, without an embedded profile;
    - 16-bit and 32-bit whole grey (0 to 65535) becomes v / 257, rounded;
    - floating grey (0 to 1) becomes 255 v, rounded;
    - of 16-bit colours Pillow keeps the upper byte.

    An EXIF orientation is undone: the picture is turned as viewers show it.

    Args:
        path: Of the file.
        key: What the user knows it by, such as "image", for errors.

    Returns: uint8 (height, width, 4), the top row first.
    Raises: UserError if there is no such file, it is no picture or a broken one, it has more than
        2²⁶ pixels (seen before anything is decoded), or its grey values leave their range.

    >>> from matplotlib.cbook import get_sample_data
    >>> read(get_sample_data("grace_hopper.jpg", asfileobj=False), "image").shape
    (600, 512, 4)
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    here = f"dataset.{key}={path}"
    large = f"{here}: more than {LIMIT:,} pixels; scale the picture down"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large or odd files: they are read or refused here
            # an open file, for by a name Pillow 13 maps a TIFF, which scrambles one that lies on its side
            with Path(path).expanduser().open("rb") as file, Image.open(file) as image:
                if image.width * image.height > LIMIT:
                    raise UserError(large)
                if image.format == "EPS":
                    raise UserError(f"{here}: PostScript is a program, which isn't run; give a PNG instead")
                return _rgba(ImageOps.exif_transpose(image), here)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{here}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{here}: a folder; give a picture's file") from None
    except Image.DecompressionBombError:
        raise UserError(large) from None
    except UnidentifiedImageError:
        raise UserError(f"{here}: not a picture that Pillow knows; give a PNG, JPEG, TIFF or WebP") from None
    except Exception as error:  # what a decoder makes of broken bytes can be anything
        why = one_line(error) or type(error).__name__
        raise UserError(f"{here}: can't be read, so broken or cut short: {why}") from None


def luminance(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness from 0 to 1: 0.299 r + 0.587 g + 0.114 b, whatever the alpha.

    Shapes: rgba (height, width, 4); luminance (height, width).
    References: ITU-R Recommendation BT.601.

    >>> luminance(np.zeros((2, 3, 4), np.uint8)).shape
    (2, 3)
    """
    r, g, b = (rgba[..., channel].astype(np.float32) for channel in range(3))
    return (299 * r + 587 * g + 114 * b) / np.float32(255_000)  # the sum is whole, so exact


def _rgba(image: Image, here: str) -> NDArray[np.uint8]:
    if image.mode != "F" and not image.mode.startswith("I"):
        return np.array(image.convert("RGBA"))
    values = np.asarray(image)
    top = 1 if image.mode == "F" else 65_535
    # not a comparison with the outside, which NaN would pass
    if not ((values >= 0) & (values <= top)).all():
        raise UserError(
            f"{here}: grey from {values.min():g} to {values.max():g}, but {values.dtype} grey must lie "
            f"between 0 and {top}; rescale the picture"
        )
    grey = np.rint(values * (255 / top)).astype(np.uint8)
    alpha = np.where(values == image.info.get("transparency"), 0, 255).astype(np.uint8)
    return np.stack([grey, grey, grey, alpha], -1)
