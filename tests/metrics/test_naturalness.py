"""Gradient statistics against plain transcriptions with NumPy and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from preimage.errors import PreimageError, UsageError
from preimage.images import to_canvas
from preimage.metrics import gradient_similarity
from preimage.metrics.naturalness import (
    STATISTICS,
    gradients,
    histogram_intersection,
    magnitude_histogram,
    orientation_histogram,
)
from toys import MEAN, picture, random_image


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels.astype(float) @ (0.2989, 0.5870, 0.1140))


def sobel(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    plane = grey(pixels)
    return tuple(ndimage.sobel(plane, axis=axis, mode="nearest") / 8 for axis in (1, 0))


def magnitudes(pixels: np.ndarray) -> np.ndarray:
    across, down = sobel(pixels)
    edges = [*range(0, 128, 2), 1e9]
    counts, _ = np.histogram(np.hypot(across, down), edges)
    return counts / counts.sum()


def orientations(pixels: np.ndarray) -> np.ndarray:
    """Pixel by pixel: the bins closed on the right, the first one on both sides."""
    sums = np.zeros(18)
    for across, down in zip(*(slope.ravel() for slope in sobel(pixels)), strict=True):
        angle = math.degrees(math.atan2(-down, across))
        sums[max(0, math.ceil((angle + 180) / 20) - 1)] += math.hypot(across, down)
    return sums / sums.sum()


def batch(*seeds: int) -> tuple[list[np.ndarray], Tensor]:
    pixels = [np.asarray(picture(seed)) for seed in seeds]
    return pixels, torch.cat([to_canvas(image, MEAN) for image in pixels])


@pytest.mark.parametrize(
    ("histogram", "transcription"),
    [(magnitude_histogram, magnitudes), (orientation_histogram, orientations)],
)
def test_histograms_are_those_of_the_transcription(histogram, transcription):
    pixels, images = batch(0, 1, 2)
    expected = np.stack([transcription(image) for image in pixels])
    found = histogram(images, MEAN)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert (expected > 0).sum(1).min() > 3  # more than a few bins are compared


def test_gradients_are_sobels_of_the_rounded_grey_image():
    pixels, images = batch(3)
    across, down = gradients(images + 0.2, MEAN)  # rounding takes the 0.2 back
    expected = sobel(pixels[0])
    np.testing.assert_array_equal(across[0].numpy(), expected[0])
    np.testing.assert_array_equal(down[0].numpy(), expected[1])


def ramp(angle: float) -> Tensor:
    """Grey that grows by 4 levels a pixel towards an angle, counter-clockwise from the right."""
    v, u = np.mgrid[-8:9, -8:9]
    slope = 4 * (u * math.cos(math.radians(angle)) - v * math.sin(math.radians(angle)))
    return torch.from_numpy(slope).float()[None, None]


@pytest.mark.parametrize(
    ("angle", "number"), [(0, 8), (10, 9), (90, 13), (-90, 4), (130, 15), (180, 0), (-150, 1)]
)
def test_an_orientation_falls_into_the_bin_of_its_angle(angle: float, number: int):
    histogram = orientation_histogram(ramp(angle), (127.0,))
    assert int(histogram[0].argmax()) == number
    assert float(histogram[0, number]) > 0.8


def test_a_ramp_has_one_magnitude():
    inner = magnitude_histogram(ramp(0).repeat(1, 3, 1, 1), MEAN)[0]
    assert float(inner[2]) == pytest.approx(15 / 17)  # 4 levels a pixel
    assert float(inner[1]) == pytest.approx(2 / 17)  # half of it in the border columns


@pytest.mark.parametrize("statistic", STATISTICS)
def test_similarity_is_per_pair_and_one_for_equal_images(statistic: str):
    _, images = batch(0, 1, 2)
    _, others = batch(0, 2, 1)
    found = gradient_similarity(images, others, MEAN, statistic)
    assert found.shape == (3,)
    assert float(found[0]) == pytest.approx(1, abs=1e-6)
    assert float(found[1]) == pytest.approx(float(found[2]), abs=1e-6)
    assert 0 < float(found[1]) < 1


def test_noise_has_unnatural_magnitudes():
    _, images = batch(0, 1, 2)
    noise = random_image(tuple(images.shape), scale=60)
    _, others = batch(3, 4, 5)
    unlike = gradient_similarity(noise, images, MEAN)
    assert bool((unlike < gradient_similarity(others, images, MEAN)).all())


def test_sizes_may_differ():
    _, images = batch(0)
    assert gradient_similarity(images[..., :30, :20], images, MEAN).shape == (1,)


def test_intersection_of_histograms():
    p = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    q = torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    assert histogram_intersection(p, q).tolist() == pytest.approx([0.5, 0.0])
    with pytest.raises(PreimageError, match=r"got \[2, 3\] and \[2, 2\]"):
        histogram_intersection(p, q[:, :2])


def test_what_has_no_statistics_is_refused():
    with pytest.raises(UsageError, match="did you mean: magnitude"):
        gradient_similarity(ramp(0), ramp(0), (127.0,), "magnitudes")
    with pytest.raises(PreimageError, match="flat image"):
        orientation_histogram(torch.zeros(1, 1, 8, 8), (127.0,))
    with pytest.raises(PreimageError, match="1 or 3 channels, got 2"):
        magnitude_histogram(torch.zeros(1, 2, 8, 8), (127.0, 127.0))
    with pytest.raises(PreimageError, match=r"\[N, C, H, W\]"):
        magnitude_histogram(torch.zeros(3, 8, 8), MEAN)
