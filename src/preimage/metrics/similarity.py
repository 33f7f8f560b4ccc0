"""How much an image looks like another, pixel for pixel: for description only.

No search is after these. An image with the wanted code may be far from the photo in all of them,
and that is a finding, not a failure (Sect. 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from preimage.errors import PreimageError
from preimage.images import to_colours

RANGE = 255.0
WINDOW = 11
"""Side of the window of SSIM, in pixels."""

SIGMA = 1.5
"""Standard deviation of its Gaussian, in pixels."""

K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM, from the full size down, each half the one before."""


def pixel_distance(image: Tensor, other: Tensor, mean: Sequence[float]) -> Tensor:
    """Root mean square difference of the colours of each pair, √mean((x − y)²)/255, `[N]`.

    Between 0 and 1, without a unit.

    Args:
        image, other: `[N, C, H, W]` on the canvas scale; colours outside 0-255 are clipped.
        mean: mean colour of that canvas scale.

    Raises:
        PreimageError: if the shapes differ.

    Example:
        >>> import torch
        >>> pixel_distance(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 51.0), (0.0,) * 3)
        tensor([0.2000])
    """
    x, y = _pair(image, other, mean)
    return ((x - y) / RANGE).square().mean((1, 2, 3)).sqrt()


def psnr(image: Tensor, other: Tensor, mean: Sequence[float]) -> Tensor:
    """Peak signal-to-noise ratio of each pair, −20·log₁₀ `pixel_distance`, `[N]`, in decibels.

    Infinite for equal images, about 10 for unrelated photos.

    Args:
        image, other: `[N, C, H, W]` on the canvas scale; colours outside 0-255 are clipped.
        mean: mean colour of that canvas scale.

    Raises:
        PreimageError: if the shapes differ.

    Example:
        >>> import torch
        >>> psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 25.5), (0.0,) * 3)
        tensor([20.])
    """
    return -20 * pixel_distance(image, other, mean).log10()


def ssim(image: Tensor, other: Tensor, mean: Sequence[float]) -> Tensor:
    """Structural similarity of each pair, `[N]`: 1 for equal images, about 0.2 for unlike photos.

    SSIM = mean (2μ_x μ_y + c₁)(2σ_xy + c₂) / ((μ_x² + μ_y² + c₁)(σ_x² + σ_y² + c₂)),
    c₁ = (0.01·255)², c₂ = (0.03·255)²

    The moments are under a Gaussian window of 11 x 11 pixels (σ = 1.5); the mean is over the places
    where it lies within the image, and over the channels. Unlike `ms_ssim`, it sees detail only.

    Args:
        image, other: `[N, C, H, W]` on the canvas scale; colours outside 0-255 are clipped.
        mean: mean colour of that canvas scale.

    Raises:
        PreimageError: if the shapes differ, or the images are smaller than 11 x 11 pixels.

    Source: Wang et al., *Image quality assessment: from error visibility to structural similarity*,
    2004.

    Example:
        >>> import torch
        >>> photo = torch.linspace(0, 255, 16).repeat(1, 3, 16, 1)
        >>> ssim(photo, photo, (0.0,) * 3)
        tensor([1.])
    """
    x, y = _pair(image, other, mean)
    _check_side(x, WINDOW, "SSIM")
    luminance, contrast = _terms(x, y)
    return (luminance * contrast).mean((1, 2, 3))


def ms_ssim(image: Tensor, other: Tensor, mean: Sequence[float]) -> Tensor:
    """Structural similarity over five scales of each pair, `[N]`, between 0 and 1.

    MS-SSIM = SSIM(x₅, y₅)^w₅ Π_{s=1..4} CS(x_s, y_s)^w_s, where CS is the second factor of SSIM
    and each scale has half the size of the one before (means of 2 x 2 pixels).

    A negative factor, which has no power, counts as 0. Unlike `ssim`, it also sees large shapes.

    Args:
        image, other: `[N, C, H, W]` on the canvas scale; colours outside 0-255 are clipped.
        mean: mean colour of that canvas scale.

    Raises:
        PreimageError: if the shapes differ, or the images are smaller than 176 x 176 pixels.

    Source: Wang et al., *Multiscale structural similarity for image quality assessment*, 2003.

    Example:
        >>> import torch
        >>> photo = torch.linspace(0, 255, 176).repeat(1, 3, 176, 1)
        >>> ms_ssim(photo, photo, (0.0,) * 3)
        tensor([1.])
    """
    x, y = _pair(image, other, mean)
    _check_side(x, WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1), "MS-SSIM")
    product = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for weight in SCALE_WEIGHTS[:-1]:
        _, contrast = _terms(x, y)
        product *= contrast.mean((1, 2, 3)).clamp(min=0) ** weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    luminance, contrast = _terms(x, y)
    return product * (luminance * contrast).mean((1, 2, 3)).clamp(min=0) ** SCALE_WEIGHTS[-1]


def _pair(image: Tensor, other: Tensor, mean: Sequence[float]) -> tuple[Tensor, Tensor]:
    if image.shape != other.shape:
        raise PreimageError(
            f"expected two images of one shape, got {list(image.shape)} and {list(other.shape)}"
        )
    return to_colours(image, mean), to_colours(other, mean)


def _check_side(x: Tensor, least: int, what: str) -> None:
    height, width = x.shape[-2:]
    if min(height, width) < least:
        raise PreimageError(
            f"{what} needs images of at least {least}x{least} pixels, got {width}x{height}"
        )


def _terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM at every place of the window, `[N, C, h, w]` each."""
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    # float64: variances are small differences of large squares.
    x, y = x.double(), y.double()
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance.to(torch.float32), contrast.to(torch.float32)


def _blurred(x: Tensor) -> Tensor:
    """Means under the window, at the places where it lies within the image."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    planes = x.flatten(0, 1)[:, None]
    planes = conv2d(conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return planes.view(*x.shape[:2], *planes.shape[-2:])
