"""Canvases: what is searched, and how it renders the image.

A canvas is a frozen description with pure methods. `start` makes parameters, `parameters_of` makes
those of a given image, `render` makes the image on the canvas scale, `pull_back` carries a gradient
of the image back to the parameters (the adjoint of `render`'s derivative, in closed form), and
`constrain_` applies a projection after each step. Energies always speak about the rendered image.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from scipy import fft as scipy_fft
from torch import Tensor

from preimage.errors import UsageError, nearest
from preimage.search.projections import project_ball_
from preimage.search.starts import UniformNoise, seeded

LUCID_COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the colour covariance of ImageNet photos, as published with Lucid (Olah 2017)."""


class Canvas(ABC):
    """A parameterization of an image."""

    @abstractmethod
    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Parameters of a first canvas of `[C, H, W]`, one seed per problem."""

    @abstractmethod
    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        """The image `[N, C, H, W]` on the canvas scale."""

    @abstractmethod
    def pull_back(self, gradient: Tensor, image: Tensor, mean: Sequence[float]) -> Tensor:
        """Gradient with respect to the parameters from the one with respect to the image."""

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        """Parameters that render a given image `[N, C, H, W]`, as far as the canvas can show it.

        The inverse of `render`, for a search that starts from an image.

        Raises:
            UsageError: if the canvas has no inverse; by default it has none.
        """
        raise UsageError(f"a {type(self).__name__} can't start from an image: choose another.")

    def constrain_(self, parameters: Tensor) -> None:  # noqa: B027
        """Project the parameters onto the feasible set in place; by default all are."""


@dataclass(frozen=True)
class PixelCanvas(Canvas):
    """The paper's canvas: the image's own pixels, kept in the ball of Eq. 6.

    Attributes:
        B_plus: radius of the ball of colour vectors, or None for no hard bound.
        noise: the start.
    """

    B_plus: float | None = 160.0
    noise: UniformNoise = field(default_factory=UniformNoise)

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        return self.noise.draw(shape, seeded(seeds))

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        return image.clone()

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        return parameters

    def pull_back(self, gradient: Tensor, image: Tensor, mean: Sequence[float]) -> Tensor:
        return gradient

    def constrain_(self, parameters: Tensor) -> None:
        if self.B_plus is not None:
            project_ball_(parameters, self.B_plus)


@dataclass(frozen=True)
class BoxCanvas(Canvas):
    """The image's own pixels as levels from 0 to 255, kept there.

    x = p − mean,  0 ≤ p ≤ 255

    Unlike `PixelCanvas`, whose ball bounds colour vectors around the mean colour, this forbids
    exactly what no picture can show, as the bounds of L-BFGS-B do (Gatys et al. 2015).

    Attributes:
        spread: standard deviation, in grey levels, of the normal noise around the middle of the
            range that it starts from.

    Raises:
        UsageError: if the spread is no number.
    """

    spread: float = 30.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.spread):
            raise UsageError(f"spread must be a number of grey levels, got {self.spread:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        draws = [torch.randn(*shape, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.spread).add_(127.5)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        return image + _colour(tuple(mean), image.dtype, image.device)

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        return parameters - _colour(tuple(mean), parameters.dtype, parameters.device)

    def pull_back(self, gradient: Tensor, image: Tensor, mean: Sequence[float]) -> Tensor:
        return gradient

    def constrain_(self, parameters: Tensor) -> None:
        parameters.clamp_(0, 255)


@lru_cache(maxsize=16)
def _spectrum(plane: tuple[int, int], exponent: float, device: torch.device) -> Tensor:
    """1/max(f, 1/S)^p on the half-plane of `rfft2`; f in cycles per pixel, S the longer side."""
    down = torch.fft.fftfreq(plane[0], device=device)
    across = torch.fft.rfftfreq(plane[1], device=device)
    frequency = torch.hypot(down[:, None], across[None, :])
    return frequency.clamp(min=1 / max(plane)).pow(-exponent)


@lru_cache(maxsize=16)
def _adjoint_spectrum(plane: tuple[int, int], exponent: float, device: torch.device) -> Tensor:
    """The spectrum with every column counted as often as the half-plane stands for it."""
    columns = torch.full((plane[1] // 2 + 1,), 2.0, device=device)
    columns[0] = 1.0
    if plane[1] % 2 == 0:
        columns[-1] = 1.0
    return _spectrum(plane, exponent, device) * columns


@lru_cache(maxsize=16)
def _colour_basis(channels: int, device: torch.device) -> Tensor:
    """Decorrelated colours to image channels, `[C, C]`, its longest column of length 1/4."""
    if channels != 3:
        return torch.eye(channels, device=device) / 4
    basis = torch.tensor(LUCID_COLOUR, device=device)
    scaled: Tensor = basis / (4 * basis.norm(dim=0).max())
    return scaled


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


@dataclass(frozen=True)
class SpectralCanvas(Canvas):
    """Fourier coefficients scaled like natural images' spectrum, in decorrelated colours.

    x = range(A · irfft2(q / max(f, 1/S)^p) / 4), orthonormal transform

    Attributes:
        exponent: p, how fast the spectrum falls.
        amplitude: standard deviation of the normal noise that q starts from.
        range: `linear` leaves colours to the priors, `sigmoid` keeps them within 0-255 (as Lucid
            does).

    Raises:
        UsageError: if the exponent or the amplitude is not a number, or the range is unknown.
    """

    exponent: float = 1.5
    amplitude: float = 0.01
    range: str = "linear"

    def __post_init__(self) -> None:
        if self.range not in RANGES:
            raise UsageError(f"there is no range {self.range!r}; {nearest(self.range, RANGES)}")
        if not (math.isfinite(self.exponent) and math.isfinite(self.amplitude)):
            raise UsageError(
                "exponent and amplitude must be numbers, "
                f"got {self.exponent:g} and {self.amplitude:g}."
            )

    def plane(self, shape: Sequence[int]) -> tuple[int, int]:
        """Height and width of the transform: the next sizes without large prime factors."""
        height, width = (scipy_fft.next_fast_len(int(n), real=True) for n in shape[-2:])
        return height, width

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        height, width = self.plane(shape)
        size = (shape[0], height, width // 2 + 1, 2)
        draws = [torch.randn(*size, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        plane = self.plane(image.shape)
        z = RANGES[self.range][2](image, _colour(tuple(mean), image.dtype, image.device))
        basis = _colour_basis(image.shape[1], image.device).to(z.dtype)
        x = torch.linalg.solve(basis, z.flatten(2)).view_as(z)
        # Beyond the canvas its border goes on: zeros there would be an edge in the spectrum.
        beyond = (0, plane[1] - image.shape[3], 0, plane[0] - image.shape[2])
        whole = torch.nn.functional.pad(x, beyond, mode="replicate")
        spectrum = torch.fft.rfft2(whole, norm="ortho")
        return torch.view_as_real(spectrum / _spectrum(plane, self.exponent, image.device))

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        plane = self.plane(shape)
        spectrum = _spectrum(plane, self.exponent, parameters.device)
        coefficients = torch.view_as_complex(parameters) * spectrum
        full = torch.fft.irfft2(coefficients, s=plane, norm="ortho")
        x = full[..., : shape[-2], : shape[-1]]
        basis = _colour_basis(int(shape[0]), parameters.device)
        z = (basis @ x.flatten(2)).view(-1, *shape)
        return RANGES[self.range][0](z, _colour(tuple(mean), z.dtype, z.device))

    def pull_back(self, gradient: Tensor, image: Tensor, mean: Sequence[float]) -> Tensor:
        colour = _colour(tuple(mean), image.dtype, image.device)
        gradient = RANGES[self.range][1](gradient, image, colour)
        channels, plane = image.shape[1], self.plane(image.shape)
        decorrelated = _colour_basis(channels, image.device).T @ gradient.flatten(2)
        # The transform pads with zeros up to the plane: the adjoint of the crop.
        spectrum = torch.fft.rfft2(decorrelated.view_as(gradient), s=plane, norm="ortho")
        spectrum *= _adjoint_spectrum(plane, self.exponent, image.device)
        return torch.view_as_real(spectrum)


@lru_cache(maxsize=16)
def _colour(mean: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The mean colour, `[1, C, 1, 1]`; kept, so that the loop copies nothing to the device."""
    return torch.tensor(mean, dtype=dtype, device=device).view(1, -1, 1, 1)
