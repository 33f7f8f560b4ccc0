from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image
from torch import Tensor

from preimage.errors import PreimageError
from preimage.images.scale import stretch, to_canvas, to_pixels

MEAN = (123.675, 116.28, 103.53)
COLOURS = st.tuples(*[st.floats(0, 255)] * 3)
PIXELS = nps.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


@given(pixels=PIXELS, mean=COLOURS)
def test_pixels_come_back(pixels: np.ndarray, mean: tuple[float, ...]) -> None:
    canvas = to_canvas(pixels, mean)
    assert canvas.shape == (1, 3, *pixels.shape[:2])
    assert canvas.dtype == torch.float32
    np.testing.assert_array_equal(to_pixels(canvas, mean), pixels)


@given(pixels=nps.arrays(np.uint8, (3, 4)), mean=st.floats(0, 255))
def test_grey_comes_back_as_two_dimensions(pixels: np.ndarray, mean: float) -> None:
    canvas = to_canvas(pixels, (mean,))
    assert canvas.shape == (1, 1, 3, 4)
    np.testing.assert_array_equal(to_pixels(canvas[0], (mean,)), pixels)


def test_values_and_order_of_axes() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[1, 2] = (10, 20, 30)
    canvas = to_canvas(Image.fromarray(pixels), MEAN)
    expected = torch.tensor([10, 20, 30]) - torch.tensor(MEAN)
    assert torch.allclose(canvas[0, :, 1, 2], expected)
    assert torch.allclose(canvas[0, :, 0, 0], -torch.tensor(MEAN))


@given(
    canvas=nps.arrays(np.float32, (3, 2, 2), elements=st.floats(-1e6, 1e6, width=32)), mean=COLOURS
)
def test_pixels_are_clipped_and_rounded_but_never_stretched(
    canvas: np.ndarray, mean: tuple[float, ...]
) -> None:
    got = to_pixels(torch.from_numpy(canvas), mean).transpose(2, 0, 1).astype(float)
    exact = canvas.astype(np.float64) + np.array(mean)[:, None, None]
    assert (abs(got - exact.clip(0, 255)) <= 0.5 + 1e-9).all()


@given(canvas=nps.arrays(np.float32, (3, 3, 3), elements=st.floats(-500, 500, width=32)))
def test_stretching_uses_the_whole_range(canvas: np.ndarray) -> None:
    got = stretch(torch.from_numpy(canvas), (0.0, 0.0, 0.0))
    if canvas.max() > canvas.min():
        assert got.min() == 0
        assert got.max() == 255
    brightest = np.unravel_index(canvas.argmax(), canvas.shape)
    if canvas.max() > canvas.min():
        assert got.transpose(2, 0, 1)[brightest] == 255


def test_stretching_shows_a_flat_image_as_it_is() -> None:
    assert (stretch(torch.full((1, 4, 4), 5.0), (100.0,)) == 105).all()


def test_gradients_and_batches_of_one_are_fine() -> None:
    canvas = torch.zeros(1, 3, 2, 2, requires_grad=True)
    assert to_pixels(canvas, MEAN).tolist() == [[[124, 116, 104]] * 2] * 2


@pytest.mark.parametrize("convert", [to_pixels, stretch])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (4, 4), (3, 0, 4), (1, 4, 4), (4, 4, 3)])
def test_other_shapes_are_refused(
    convert: Callable[[Tensor, Sequence[float]], np.ndarray], shape: tuple[int, ...]
) -> None:
    with pytest.raises(PreimageError, match="expected"):
        convert(torch.zeros(shape), MEAN)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_search_is_said_so(value: float) -> None:
    with pytest.raises(PreimageError, match="diverged"):
        to_pixels(torch.full((3, 2, 2), value), MEAN)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
    ],
)
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PreimageError, match="expected"):
        to_canvas(pixels, MEAN)
