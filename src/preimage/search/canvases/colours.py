"""Decorrelated colours, and how they become pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from preimage.errors import UsageError, nearest

LUCID_COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the colour covariance of ImageNet photos, as published with Lucid (Olah 2017)."""


@lru_cache(maxsize=16)
def colour_basis(channels: int, chroma: float, device: torch.device) -> Tensor:
    """Decorrelated colours to image channels, `[C, C]`, its longest column of length 1/4."""
    if channels != 3:
        return torch.eye(channels, device=device) / 4
    basis = torch.tensor(LUCID_COLOUR, device=device)
    scaled: Tensor = basis / (4 * basis.norm(dim=0).max())
    return scaled * torch.tensor([1.0, chroma, chroma], device=device)


SLOPE = 255.0 / 4
"""Slope of 255·sigmoid at zero: all range maps agree near the middle of the range."""


def _sigmoid(z: Tensor, mean: Tensor) -> Tensor:
    return torch.sigmoid_(z).mul_(255.0).sub_(mean)


def _sigmoid_adjoint(gradient: Tensor, image: Tensor, mean: Tensor) -> Tensor:
    level = (image + mean).div_(255.0)
    return gradient.mul_(level).mul_(level.mul_(-255.0).add_(255.0))


EDGE = 0.5
"""Pixels this near to black or white are taken for it: a sigmoid reaches neither."""


def _sigmoid_inverse(image: Tensor, mean: Tensor) -> Tensor:
    return torch.logit((image + mean).clamp_(EDGE, 255.0 - EDGE).div_(255.0))


def _linear(z: Tensor, mean: Tensor) -> Tensor:
    return z.mul_(SLOPE)


def _linear_adjoint(gradient: Tensor, image: Tensor, mean: Tensor) -> Tensor:
    return gradient.mul_(SLOPE)


def _linear_inverse(image: Tensor, mean: Tensor) -> Tensor:
    return image / SLOPE


RANGES = {
    "linear": (_linear, _linear_adjoint, _linear_inverse),
    "sigmoid": (_sigmoid, _sigmoid_adjoint, _sigmoid_inverse),
}
"""How decorrelated colours become the image: the map, the adjoint of its derivative, and the
inverse."""


@lru_cache(maxsize=16)
def mean_colour(mean: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The mean colour, `[1, C, 1, 1]`; kept, so that the loop copies nothing to the device."""
    return torch.tensor(mean, dtype=dtype, device=device).view(1, -1, 1, 1)


def check_range(range: str) -> None:
    """Refuse a range that there is not."""
    if range not in RANGES:
        raise UsageError(f"there is no range {range!r}; {nearest(range, RANGES)}")


def coloured(planes: Tensor, mean: Sequence[float], range: str, chroma: float = 1.0) -> Tensor:
    """The image `[N, C, H, W]` of planes of decorrelated colours."""
    basis = colour_basis(planes.shape[1], chroma, planes.device)
    z = (basis @ planes.flatten(2)).view(planes.shape)
    return RANGES[range][0](z, mean_colour(tuple(mean), z.dtype, z.device))


def decorrelated(
    gradient: Tensor, image: Tensor, mean: Sequence[float], range: str, chroma: float = 1.0
) -> Tensor:
    """Adjoint of `coloured`'s derivative: from the image's gradient to that of the planes."""
    centre = mean_colour(tuple(mean), image.dtype, image.device)
    gradient = RANGES[range][1](gradient, image, centre)
    basis = colour_basis(image.shape[1], chroma, image.device)
    return (basis.T @ gradient.flatten(2)).view(gradient.shape)


def planes_of(image: Tensor, mean: Sequence[float], range: str, chroma: float = 1.0) -> Tensor:
    """Planes that `coloured` makes this image of, but for what the range can't reach."""
    z = RANGES[range][2](image, mean_colour(tuple(mean), image.dtype, image.device))
    basis = colour_basis(image.shape[1], chroma, image.device).to(z.dtype)
    planes: Tensor = torch.linalg.solve(basis, z.flatten(2)).view_as(z)
    return planes
