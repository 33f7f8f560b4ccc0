"""HOG and DSIFT are VLFeat's, number for number.

Where the library is not installed, what was recorded from it stands in for it; the tests that need
the library itself are skipped.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from record_vlfeat import recordings
from torch.nn.functional import avg_pool2d
from vlfeat_reference import DSIFT_GRIDS, RECORDED, RECORDED_IMAGES, Array, Library, library

from preimage.representations import Representation, representation
from preimage.representations.glyphs import draw_glyphs
from preimage.representations.hog import EDGES

TOLERANCE = 1e-5
HOGS = {"hog": False, "hogb": True}

vlfeat = library()
needs_library = pytest.mark.skipif(vlfeat is None, reason="Debian's libvlfeat1 is not here")
every_hog = pytest.mark.parametrize("name", HOGS)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Array]:
    with np.load(RECORDED, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture
def lib() -> Library:
    assert vlfeat is not None
    return vlfeat


def ours(phi: Representation, image: Array) -> Array:
    """The code of 0-255 grey values."""
    canvas = torch.as_tensor(image, dtype=torch.float32)[None, None] - phi.mean[0]
    code: Array = phi(canvas)[0].numpy()
    return code


def assert_equal(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).max()) <= TOLERANCE


def made(key: str) -> tuple[Representation, str]:
    """The representation and the name of the image of a recording."""
    model, image, *numbers = key.split()
    options = dict(zip(("cell", "step"), map(int, numbers), strict=False))
    return representation(model, **options), image


@pytest.mark.parametrize("image", RECORDED_IMAGES)
@pytest.mark.parametrize("model", ["hog", "hogb", "dsift"])
def test_codes_are_those_recorded_from_vlfeat(
    model: str, image: str, recorded: dict[str, Array]
) -> None:
    keys = [key for key in recorded if key.startswith(f"{model} {image} ")]
    assert keys
    for key in keys:
        phi, name = made(key)
        assert_equal(ours(phi, recorded[f"image {name}"]), recorded[key])


@needs_library
def test_the_recording_is_what_the_library_says(lib: Library, recorded: dict[str, Array]) -> None:
    now = recordings(lib)
    assert set(now) == set(recorded)
    for key, expected in recorded.items():
        np.testing.assert_allclose(now[key], expected, atol=1e-6)


@st.composite
def images(draw: st.DrawFn, least: int) -> Array:
    """Whole-numbered grey images of any contrast, from tiny on."""
    height, width = draw(st.integers(least, least + 40)), draw(st.integers(least, least + 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = sorted(draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    image = rng.integers(low, high + 1, (height, width)).astype(np.float32)
    if draw(st.booleans()):
        # Two values alone: every gradient is along an axis or a diagonal, and many are equal.
        image = np.where(image > (low + high) / 2, np.float32(high), np.float32(low))
    if draw(st.booleans()):
        image[: draw(st.integers(0, height)), : draw(st.integers(0, width))] = low
    return image


@needs_library
@every_hog
@given(data=st.data(), cell=st.integers(1, 12))
def test_hog_of_random_images(name: str, data: st.DataObject, cell: int) -> None:
    assert vlfeat is not None
    phi = representation(name, cell=cell)
    image = data.draw(images(phi.least_side))
    assert_equal(ours(phi, image), vlfeat.hog(image, cell, HOGS[name]))


@needs_library
@given(data=st.data(), cell=st.integers(1, 10), step=st.integers(1, 12))
def test_dsift_of_random_images(data: st.DataObject, cell: int, step: int) -> None:
    assert vlfeat is not None
    phi = representation("dsift", cell=cell, step=step)
    image = data.draw(images(phi.least_side))
    assert_equal(ours(phi, image), vlfeat.dsift(image, cell, step))


@needs_library
@pytest.mark.parametrize("window", [1.5, 0.4, 10.0])
def test_the_window_of_dsift(lib: Library, window: float, recorded: dict[str, Array]) -> None:
    image = recorded["image odd"]
    for cell, step in DSIFT_GRIDS:
        phi = representation("dsift", cell=cell, step=step, window=window)
        assert_equal(ours(phi, image), lib.dsift(image, cell, step, window))


def ramp(across: float, down: float) -> Array:
    """An image of one gradient."""
    v, u = np.mgrid[:16, :16]
    return np.float32((across * u + down * v) / 2 + 127)


@needs_library
@every_hog
def test_every_direction_falls_into_its_bin(lib: Library, name: str) -> None:
    """All gradients of small whole numbers; straight up and down lie on the edge of two bins."""
    phi = representation(name)
    for across in range(-12, 13):
        for down in range(-12, 13):
            image = ramp(2 * across, 2 * down)
            assert_equal(ours(phi, image), lib.hog(image, 8, HOGS[name]))


@needs_library
@pytest.mark.parametrize("quadrant", [(1, 1), (-1, 1), (-1, -1), (1, -1)])
def test_both_sides_of_every_edge_between_bins(lib: Library, quadrant: tuple[int, int]) -> None:
    phi = representation("hog")
    for slope in EDGES:
        for nearly in (0.9999, 1.0001):
            image = ramp(16 * quadrant[0], 16 * slope * nearly * quadrant[1])
            assert_equal(ours(phi, image), lib.hog(image, 8, False))


@needs_library
def test_faint_images_have_no_dsift(lib: Library) -> None:
    """VLFeat's fast root of less than 1e-8 is 0."""
    noise = np.random.default_rng(0).uniform(-1, 1, (40, 40)).astype(np.float32)
    for contrast, is_nothing in ((1e-6, True), (1e-2, False)):
        found = representation("dsift")(torch.as_tensor(contrast * noise)[None, None])[0].numpy()
        assert_equal(found, lib.dsift(contrast * noise, 8, 8))
        assert (found.max() == 0) == is_nothing


@needs_library
@every_hog
def test_glyphs_are_like_vlfeats(lib: Library, name: str, recorded: dict[str, Array]) -> None:
    """The same strokes in the same places; ours have soft edges, so both are blurred first."""
    code = recorded[f"{name} picture 4"]
    pictures = np.asarray(draw_glyphs(code), np.float32), lib.glyphs(code)
    assert pictures[0].shape == pictures[1].shape
    blurred = [avg_pool2d(torch.from_numpy(p.copy())[None], 3, 1).flatten() for p in pictures]
    assert float(torch.corrcoef(torch.stack(blurred))[0, 1]) > 0.95
