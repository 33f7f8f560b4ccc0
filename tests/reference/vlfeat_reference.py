"""VLFeat's HOG and DSIFT by its C library, or by what `record_vlfeat.py` recorded from it.

Debian's package is `libvlfeat1`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_size_t, c_void_p
from ctypes.util import find_library
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

RECORDED = Path(__file__).with_name("vlfeat_recorded.npz")
UOCTTI = 1
"""The variant of 31 numbers."""
ORIENTATIONS = 9


class Geometry(Structure):
    _fields_ = [(name, c_int) for name in ("bin_t", "bin_x", "bin_y", "size_x", "size_y")]


class Filter(Structure):
    """The head of VLFeat's public `VlDsiftFilter`."""

    _fields_ = [
        *((name, c_int) for name in ("width", "height", "step_x", "step_y")),
        *((name, c_int) for name in ("min_x", "min_y", "max_x", "max_y")),
        ("geometry", Geometry),
        ("flat_window", c_int),
        ("window", c_double),
        ("frames", c_int),
        ("numbers", c_int),
        ("keypoints", c_void_p),
        ("descriptors", POINTER(c_float)),
    ]


SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "vl_hog_new": (c_void_p, [c_int, c_size_t, c_int]),
    "vl_hog_delete": (None, [c_void_p]),
    "vl_hog_set_use_bilinear_orientation_assignments": (None, [c_void_p, c_int]),
    "vl_hog_put_image": (None, [c_void_p, c_void_p, *[c_size_t] * 4]),
    "vl_hog_get_width": (c_size_t, [c_void_p]),
    "vl_hog_get_height": (c_size_t, [c_void_p]),
    "vl_hog_get_dimension": (c_size_t, [c_void_p]),
    "vl_hog_get_glyph_size": (c_size_t, [c_void_p]),
    "vl_hog_extract": (None, [c_void_p, c_void_p]),
    "vl_hog_render": (None, [c_void_p, c_void_p, c_void_p, c_size_t, c_size_t]),
    "vl_dsift_new_basic": (POINTER(Filter), [c_int] * 4),
    "vl_dsift_process": (None, [POINTER(Filter), c_void_p]),
    "vl_dsift_delete": (None, [POINTER(Filter)]),
}


class Library:
    """The C library."""

    def __init__(self, path: str) -> None:
        self.c = ctypes.CDLL(path)
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments

    def hog(self, image: Array, cell: int, bilinear: bool) -> Array:
        """`[31, h, w]` of a grey image."""
        image = np.ascontiguousarray(image, np.float32)
        height, width = image.shape
        hog = self.c.vl_hog_new(UOCTTI, ORIENTATIONS, 0)
        self.c.vl_hog_set_use_bilinear_orientation_assignments(hog, int(bilinear))
        self.c.vl_hog_put_image(hog, image.ctypes.data, width, height, 1, cell)
        sides = ("dimension", "height", "width")
        shape = [getattr(self.c, f"vl_hog_get_{side}")(hog) for side in sides]
        code = np.zeros(shape, np.float32)
        self.c.vl_hog_extract(hog, code.ctypes.data)
        self.c.vl_hog_delete(hog)
        return code

    def glyphs(self, code: Array) -> Array:
        """VLFeat's picture of a HOG code."""
        code = np.ascontiguousarray(code, np.float32)
        _, height, width = code.shape
        hog = self.c.vl_hog_new(UOCTTI, ORIENTATIONS, 0)
        side = self.c.vl_hog_get_glyph_size(hog)
        picture = np.zeros((height * side, width * side), np.float32)
        self.c.vl_hog_render(hog, picture.ctypes.data, code.ctypes.data, width, height)
        self.c.vl_hog_delete(hog)
        return picture

    def dsift(self, image: Array, cell: int, step: int, window: float = 2.0) -> Array:
        """`[128, h, w]` of a grey image."""
        image = np.ascontiguousarray(image, np.float32)
        height, width = image.shape
        dsift = self.c.vl_dsift_new_basic(width, height, step, cell)
        dsift.contents.window = window
        self.c.vl_dsift_process(dsift, image.ctypes.data)
        count, numbers = dsift.contents.frames, dsift.contents.numbers
        code = np.ctypeslib.as_array(dsift.contents.descriptors, (count * numbers,)).copy()
        self.c.vl_dsift_delete(dsift)
        rows = (height - 1 - 3 * cell) // step + 1
        return code.reshape(rows, -1, numbers).transpose(2, 0, 1)


def library() -> Library | None:
    """The library, if this machine has it."""
    for name in (find_library("vl"), "libvl.so.1", "libvl.so"):
        if name is not None:
            try:
                return Library(name)
            except (OSError, AttributeError):
                continue
    return None


def _picture(height: int, width: int, seed: int) -> Array:
    """Slow waves, a bright disk, a little noise."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:height, :width] / 16
    waves = 60 * np.sin(u + 0.7 * v) + 30 * np.cos(0.3 * u - 2.1 * v)
    disk = 60 * ((u - 1.5) ** 2 + (v - 1.2) ** 2 < 0.8)
    return np.clip(110 + waves + disk + rng.normal(0, 3, u.shape), 0, 255)


def _noise(height: int, width: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width))


def _contrast(height: int, width: int, seed: int) -> Array:
    """Black and white blocks: gradients along the axes and diagonals, with ties and flat parts."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 2, (height // 5 + 1, width // 5 + 1))
    return 255 * np.kron(blocks, np.ones((5, 5)))[:height, :width]


def _flat(height: int, width: int, seed: int) -> Array:
    return np.full((height, width), 77.0)


def _edge(height: int, width: int, seed: int) -> Array:
    """Dark left, bright right, the upper half the other way."""
    image = np.zeros((height, width))
    image[: height // 2, : width // 2] = image[height // 2 :, width // 2 :] = 255
    return image


RECORDED_IMAGES: dict[str, tuple[Callable[[int, int, int], Array], int, int]] = {
    "picture": (_picture, 64, 48),
    "odd": (_picture, 53, 61),
    "noise": (_noise, 40, 33),
    "contrast": (_contrast, 45, 50),
    "edge": (_edge, 37, 40),
    "flat": (_flat, 32, 40),
    "tiny": (_noise, 13, 14),
}
"""What is recorded: how it is made, height, width."""

HOG_CELLS = (3, 4, 8)
DSIFT_GRIDS = ((4, 4), (4, 7), (8, 8), (3, 5))
"""Cell and step."""


def image_of(name: str) -> Array:
    """An image of the table: whole numbers, 0 to 255."""
    make, height, width = RECORDED_IMAGES[name]
    return np.round(make(height, width, 0)).astype(np.float32)
