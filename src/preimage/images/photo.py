"""Photos from disk and pictures to disk.

A file from outside may be anything; whatever is wrong with it ends in one line that says so.
"""

from __future__ import annotations

import math
import os
import re
import stat
import warnings

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from preimage.errors import PreimageError, UsageError, one_line
from preimage.files import reason, replacing, sha256_of_file

__all__ = ["MAX_PIXELS", "load_photo", "save_png", "sha256_of_file"]

# A camera's largest photo fits; a header that promises more memory than most machines have not.
MAX_PIXELS = 100_000_000
# Pillow would try every format it knows, among them some that call other programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
WHITE = (255, 255, 255, 255)


def load_photo(
    path: str | os.PathLike[str] | Image.Image, size: int | None, channels: int = 3
) -> Image.Image:
    """A photo as the networks and the search see it.

    EXIF orientation applied, transparency laid over white, 8 bits a channel, the central square
    resized to ``size`` (Lanczos, antialiased: short side to ``size`` and centre crop in one
    step). Of an animated file the first frame.

    Args:
        path: the file, or a picture already in memory.
        size: side of the square in pixels; None keeps the whole picture as it is.
        channels: 3 for colour, 1 for grey.

    Returns:
        Mode "RGB" or "L", ``size`` x ``size`` where a size is given.

    Raises:
        UsageError: neither a path nor a picture.
        PreimageError: the file is missing, a folder, no image, damaged or cut short, larger
            than 100 megapixels by its header, less than 2 pixels wide or high, or has numbers
            other than 8 or 16 bits.

    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "grey.png"
    >>> save_png(np.full((30, 40), 7, np.uint8), file)
    >>> load_photo(file, size=16).size
    (16, 16)
    """
    if channels not in (1, 3):
        raise PreimageError(f"expected 1 or 3 channels, got {channels}")
    if size is not None and size < 1:
        raise PreimageError(f"expected a size of at least 1 pixel, got {size}")
    if not isinstance(path, str | os.PathLike | Image.Image):
        raise UsageError(
            f"expected a photo as a path or a PIL image, got {type(path).__name__}; "
            "PIL.Image.fromarray makes a picture of an array."
        )
    if isinstance(path, Image.Image):
        image, path = _loaded(path), "the image"
    else:
        image = _decode(path)
    image = _as_rgb(image, path)
    if min(image.size) < 2:
        raise PreimageError(
            f"{path}: expected an image of at least 2x2 pixels, got "
            f"{image.width}x{image.height}; there is nothing in it to look for"
        )
    if size is not None:
        image = _central_square(image, size)
    return image if channels == 3 else image.convert("L")


def save_png(image: Image.Image | np.ndarray, path: str | os.PathLike[str]) -> None:
    """Writes a PNG, whole or not at all: under a temporary name first, then renamed.

    Args:
        image: a PIL image, or uint8 ``[H, W]`` or ``[H, W, 3]``.
        path: where to; its folder must exist.

    Raises:
        PreimageError: the array has another shape or type, or the file cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> save_png(np.zeros((4, 4, 3), np.uint8), folder / "black.png")
    >>> [file.name for file in folder.iterdir()]
    ['black.png']
    """
    picture = as_picture(image)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def as_picture(image: Image.Image | np.ndarray) -> Image.Image:
    """A PIL image as it is, or one made of uint8 ``[H, W]`` or ``[H, W, C]``.

    Three channels are colours. Of other numbers, which have no colours of their own, every channel
    is shown in grey, row by row in as square a mosaic as goes.

    Raises:
        PreimageError: the array has another shape or type, or no pixels.

    >>> as_picture(np.zeros((4, 5), np.uint8)).mode
    'L'
    >>> as_picture(np.zeros((4, 5, 3), np.uint8)).mode
    'RGB'
    >>> as_picture(np.zeros((4, 5, 7), np.uint8)).size
    (15, 12)
    """
    if isinstance(image, Image.Image):
        return image
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise PreimageError(
            f"expected pixels as uint8 [H, W] or [H, W, C], got {image.dtype} {list(image.shape)}"
        )
    if image.ndim == 3 and image.shape[2] != 3:
        image = _mosaic(image)
    return Image.fromarray(np.ascontiguousarray(image))


def _mosaic(planes: np.ndarray) -> np.ndarray:
    """``[H, W, C]`` as ``[rows·H, columns·W]``, black where the last row ends early."""
    height, width, channels = planes.shape
    columns = math.ceil(math.sqrt(channels))
    rows = -(-channels // columns)
    sheet = np.zeros((rows, columns, height, width), np.uint8)
    sheet.reshape(-1, height, width)[:channels] = planes.transpose(2, 0, 1)
    return sheet.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def has_colour(image: Image.Image) -> bool:
    """Whether any pixel is not grey.

    >>> has_colour(Image.new("RGB", (2, 2), (7, 7, 7)))
    False
    >>> has_colour(Image.new("RGB", (2, 2), (7, 8, 7)))
    True
    """
    red, green, blue = image.convert("RGB").split()
    return any(ImageChops.difference(red, other).getbbox() is not None for other in (green, blue))


def _decode(path: str | os.PathLike[str]) -> Image.Image:
    """The first frame, decoded and turned upright, in the file's own mode."""
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Both of Pillow's limits are replaced by the one checked here.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                _check_pixels(image.width * image.height, path)
                image.load()
                return _upright(image)
    except PreimageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        _check_pixels(int(pixels.group()) if pixels else MAX_PIXELS + 1, path)
        raise PreimageError(f"{path}: too large an image") from error
    except UnidentifiedImageError as error:
        raise PreimageError(
            f"{path}: expected an image ({', '.join(_formats())}), got something else"
        ) from error
    except Exception as error:  # damaged files can fail anywhere inside a decoder
        raise _damaged(path, error) from error


def _loaded(image: Image.Image) -> Image.Image:
    """A picture in memory, turned upright; its file may have been opened only so far."""
    try:
        image.load()
    except Exception as error:
        raise _damaged(getattr(image, "filename", "") or "a PIL image", error) from error
    return _upright(image)


def _damaged(path: str | os.PathLike[str], error: Exception) -> PreimageError:
    why = one_line(error) or type(error).__name__
    return PreimageError(
        f"{path}: the image is damaged or cut short ({why}); save or copy it again"
    )


def _check_file(path: str | os.PathLike[str]) -> None:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise PreimageError(f"{path}: expected an image file, got a folder")
        if not stat.S_ISREG(mode):  # a pipe can be read only once, or never ends
            raise PreimageError(
                f"{path}: expected an image file, got a pipe or a device; save the image first"
            )
        with open(path, "rb") as stream:
            empty = not stream.read(1)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise PreimageError(f"{path}: cannot be read ({why})") from error
    if empty:
        raise PreimageError(f"{path}: expected an image, got an empty file")


def _formats() -> list[str]:
    # Which of them there are depends on how Pillow was built.
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_pixels(pixels: int, path: str | os.PathLike[str]) -> None:
    if pixels > MAX_PIXELS:
        raise PreimageError(
            f"{path}: expected at most {MAX_PIXELS / 1e6:.0f} megapixels, got "
            f"{pixels / 1e6:.0f}; make it smaller first"
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # unreadable EXIF says nothing about the picture, which is fine
        return image.copy()


def _as_rgb(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image, path)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), with_alpha).convert(
            "RGB"
        )
    return image.convert("RGB")


def _eight_bits(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    # Pillow's own conversion of these modes clips at 255 instead of scaling.
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise PreimageError(f"{path}: expected 8 or 16 bits a channel, got mode {image.mode}")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _central_square(image: Image.Image, size: int) -> Image.Image:
    # Only the square is resized: the whole of a very long picture would not fit in memory.
    # Pillow's filter looks past the box, so this equals resizing the whole and then cropping.
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)
