"""Parts of maximization against plain transcriptions of what is published."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from preimage import BlurredCanvas, NAdam, PhaseCanvas
from preimage.energy import Apart, InnerProduct
from preimage.search.canvases.colours import colour_basis
from preimage.search.canvases.spectra import PHOTO_FREQUENCIES, PHOTO_MAGNITUDES
from toys import random_image


def test_nadam_is_dozats_without_the_warm_up() -> None:
    rng = np.random.default_rng(0)
    x, m, v = rng.normal(size=5), np.zeros(5), np.zeros(5)
    parameters = torch.tensor(x)[None]
    rule = NAdam(0.1, beta1=0.8, beta2=0.95)
    state = rule.begin(parameters)
    for t in range(1, 8):
        g = np.sin(3 * x) + x
        gradient = torch.sin(3 * parameters) + parameters
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        ahead = 0.8 * m / (1 - 0.8 ** (t + 1)) + 0.2 * g / (1 - 0.8**t)
        x = x - 0.1 * ahead / np.sqrt(v / (1 - 0.95**t))
        rule.step_(parameters, gradient, torch.zeros(1), 1.0, state)
        np.testing.assert_allclose(parameters[0].numpy(), x, rtol=1e-9)


def test_a_blurred_canvas_is_scipys_gaussian_filter_with_zeros_around() -> None:
    image = random_image((1, 2, 20, 17), dtype=torch.float64)
    blurred = BlurredCanvas(sigma=1.3).render(image, (2, 20, 17), (0.0, 0.0))
    expected = image.numpy()
    for axis in (2, 3):
        expected = gaussian_filter1d(
            expected, 1.3, axis=axis, mode="constant", radius=math.ceil(3.9)
        )
    np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-9)


def test_the_faintest_pixels_are_held_at_the_mean_colour() -> None:
    image = random_image((2, 3, 10, 10))
    norms = image.norm(dim=1)
    BlurredCanvas(clipped=0.3).constrain_(image)
    for before, after in zip(norms, image.norm(dim=1), strict=True):
        assert int((after == 0).sum()) == 30
        assert before[after == 0].max() < before[after != 0].min()


def test_a_phase_canvas_has_the_magnitudes_of_photos_whatever_its_phases() -> None:
    side = 64
    canvas = PhaseCanvas(contrast=0.01, range="linear")
    x = canvas.render(canvas.start((3, side, side), [3]), (3, side, side), (0.0,) * 3)
    slope = 255 / 4
    colours = torch.linalg.solve(colour_basis(3, 1.0, x.device), x[0].flatten(1) / slope)
    found = torch.fft.rfft2(colours.view(3, side, side), norm="ortho").abs()
    # Frequencies of the table on the axis of columns; the first and last are their own mirrors.
    for frequency in (1 / 32, 1 / 16, 1 / 8, 1 / 4):
        column = PHOTO_FREQUENCIES.index(frequency)
        expected = [0.01 * row[column] for row in PHOTO_MAGNITUDES]
        np.testing.assert_allclose(found[:, 0, round(frequency * side)], expected, rtol=1e-2)


def test_restarts_are_pushed_apart_by_the_mean_cosine_of_what_is_not_maximized() -> None:
    rng = np.random.default_rng(1)
    code = torch.tensor(rng.normal(size=(4, 6)), dtype=torch.float32)
    target = torch.zeros(4, 6)
    target[:2, 0] = target[2:, 3] = 1.0
    value, gradient = Apart(InnerProduct(target), 2, 0.7).value_and_gradient(code, 3.0)
    rest = code.numpy() * (target.numpy() == 0)
    unit = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    for i, j, index in ((0, 1, 0), (1, 0, 0), (2, 3, 3), (3, 2, 3)):
        cosine = unit[i] @ unit[j]
        assert abs(float(value[i]) - (0.7 * cosine - code[i, index])) < 1e-5
        slope = (unit[j] - cosine * unit[i]) / np.linalg.norm(rest[i])
        slope[index] = -1 / 0.7
        np.testing.assert_allclose(gradient[i], 3.0 * 0.7 * slope, atol=1e-5)
