"""SSIM, MS-SSIM and pixel distances against SciPy transcriptions and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from preimage.errors import PreimageError
from preimage.metrics import ms_ssim, pixel_distance, psnr, ssim
from toys import MEAN, picture, random_image

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def pair(side: int, scale: float) -> tuple[np.ndarray, np.ndarray, Tensor, Tensor]:
    """A picture and the same with noise: as pixels [H, W, C], and on the canvas scale."""
    first = np.asarray(picture(0, side, side)).astype(np.float32)
    noise = random_image((side, side, 3), seed=1, scale=scale).numpy()
    second = np.clip(first + noise, 0, 255)
    canvases = (
        torch.from_numpy(x - np.float32(MEAN)).permute(2, 0, 1)[None] for x in (first, second)
    )
    return first, second, *canvases


def blurred(plane: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(plane, 1.5, radius=5)[5:-5, 5:-5]


def factors(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance and contrast-structure of one channel, where the window lies within."""
    mx, my = blurred(x), blurred(y)
    vx, vy, cov = blurred(x * x) - mx**2, blurred(y * y) - my**2, blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * cov + c2) / (vx + vy + c2)


def channels(x: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [factors(x[..., c].astype(float), y[..., c].astype(float)) for c in range(3)]


def halved(x: np.ndarray) -> np.ndarray:
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return x[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))


def multi_scale(x: np.ndarray, y: np.ndarray) -> float:
    value = 1.0
    for scale, weight in enumerate(WEIGHTS):
        pairs = channels(x, y)
        last = scale == len(WEIGHTS) - 1
        value *= np.mean([light * cs if last else cs for light, cs in pairs]) ** weight
        x, y = halved(x), halved(y)
    return float(value)


@pytest.mark.parametrize("scale", [2.0, 30.0, 200.0])
def test_ssim_is_that_of_the_transcription_and_of_scikit_image(scale: float):
    first, second, x, y = pair(48, scale)
    found = float(ssim(x, y, MEAN))
    expected = np.mean([light * cs for light, cs in channels(first, second)])
    assert found == pytest.approx(expected, abs=1e-5)
    metrics = pytest.importorskip("skimage.metrics")
    theirs = metrics.structural_similarity(
        first, second, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert found == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize(("side", "scale"), [(176, 2.0), (181, 30.0), (224, 200.0)])
def test_ms_ssim_is_that_of_the_transcription(side: int, scale: float):
    first, second, x, y = pair(side, scale)
    assert float(ms_ssim(x, y, MEAN)) == pytest.approx(multi_scale(first, second), abs=1e-5)


@pytest.mark.parametrize("scale", [2.0, 30.0, 200.0])
def test_ms_ssim_is_that_of_torchmetrics(scale: float):
    image = pytest.importorskip("torchmetrics.functional.image")
    first, second, x, y = pair(192, scale)
    planes = (torch.from_numpy(a).permute(2, 0, 1)[None] for a in (first, second))
    theirs = image.multiscale_structural_similarity_index_measure(
        *planes, data_range=255.0, kernel_size=11, sigma=1.5
    )
    # Its last scale also counts places where the window sees the border's reflection.
    assert float(ms_ssim(x, y, MEAN)) == pytest.approx(float(theirs), abs=1e-3)


@pytest.mark.parametrize("scale", [2.0, 30.0])
def test_pixel_distance_and_psnr(scale: float):
    first, second, x, y = pair(16, scale)
    squares = np.mean((first.astype(float) - second) ** 2)
    assert float(pixel_distance(x, y, MEAN)) == pytest.approx(np.sqrt(squares) / 255, rel=1e-4)
    assert float(psnr(x, y, MEAN)) == pytest.approx(10 * np.log10(255**2 / squares), rel=1e-4)
    metrics = pytest.importorskip("skimage.metrics")
    theirs = metrics.peak_signal_noise_ratio(first, second, data_range=255)
    assert float(psnr(x, y, MEAN)) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("measure", [pixel_distance, psnr, ssim, ms_ssim])
def test_each_pair_is_measured_alone_and_colours_out_of_range_are_clipped(measure):
    pairs = [pair(176, scale)[2:] for scale in (2.0, 30.0)]
    together = measure(*(torch.cat(side) for side in zip(*pairs, strict=True)), MEAN)
    assert together.shape == (2,)
    for one, (x, y) in zip(together, pairs, strict=True):
        assert float(measure(x, y, MEAN)) == pytest.approx(float(one), rel=1e-5)
    black, blacker = torch.full((1, 3, 176, 176), -200.0), torch.full((1, 3, 176, 176), -900.0)
    assert measure(black, blacker, MEAN).tolist() == measure(black, black, MEAN).tolist()


def test_equal_images():
    _, _, x, _ = pair(176, 1.0)
    assert float(pixel_distance(x, x, MEAN)) == 0
    assert float(psnr(x, x, MEAN)) == float("inf")
    assert float(ssim(x, x, MEAN)) == pytest.approx(1, abs=1e-6)
    assert float(ms_ssim(x, x, MEAN)) == pytest.approx(1, abs=1e-6)


def test_opposites_have_negative_ssim_and_no_ms_ssim():
    flat = torch.zeros(1, 3, 176, 176)
    noise = random_image(tuple(flat.shape), scale=20)
    assert float(ssim(noise, -noise, (127.0,) * 3)) < -0.5
    assert float(ms_ssim(noise, -noise, (127.0,) * 3)) == 0


@pytest.mark.parametrize("measure", [pixel_distance, psnr, ssim, ms_ssim])
def test_shapes_must_agree(measure):
    with pytest.raises(PreimageError, match=r"got \[1, 3, 8, 8\] and \[1, 3, 8, 9\]"):
        measure(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), MEAN)


@pytest.mark.parametrize(("measure", "side"), [(ssim, 10), (ms_ssim, 175)])
def test_images_too_small_for_the_window(measure, side: int):
    small = torch.zeros(1, 3, side, side)
    with pytest.raises(PreimageError, match=f"{side + 1}x{side + 1} pixels, got {side}x{side}"):
        measure(small, small, MEAN)
