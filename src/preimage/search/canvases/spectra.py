"""Canvases that hold Fourier coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import fft as scipy_fft
from torch import Tensor

from preimage.errors import UsageError
from preimage.search.canvases.canvas import Canvas
from preimage.search.canvases.colours import check_range, coloured, decorrelated, planes_of
from preimage.search.starts import seeded

PHOTO_FREQUENCIES = (1 / 224, 1 / 112, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
PHOTO_MAGNITUDES = (
    (352.0, 187.0, 91.1, 37.9, 15.2, 6.21, 2.59, 0.991),
    (307.0, 152.0, 76.5, 32.5, 12.3, 4.41, 1.63, 0.825),
    (286.0, 151.0, 78.0, 33.4, 13.6, 5.74, 2.22, 1.14),
)
"""Mean magnitude of photos' orthonormal Fourier transform at these frequencies (cycles a pixel),
one row for each decorrelated colour; `benchmarks/photo_spectrum.py` made it from 200 photos."""


@lru_cache(maxsize=16)
def _spectrum(plane: tuple[int, int], exponent: float, device: torch.device) -> Tensor:
    """1/max(f, 1/S)^p on the half-plane of `rfft2`; f in cycles per pixel, S the longer side.

    `[h, w, 2]`, once for the real and once for the imaginary part: one factor for both, which has
    to be repeated while it is multiplied, takes ten times as long.
    """
    down = torch.fft.fftfreq(plane[0], device=device)
    across = torch.fft.rfftfreq(plane[1], device=device)
    frequency = torch.hypot(down[:, None], across[None, :])
    spectrum = frequency.clamp(min=1 / max(plane)).pow(-exponent)
    return torch.stack([spectrum, spectrum], dim=-1)


@lru_cache(maxsize=16)
def _columns(width: int, device: torch.device) -> Tensor:
    """How often the half-plane of `rfft2` stands for each of its columns."""
    columns = torch.full((width // 2 + 1,), 2.0, device=device)
    columns[0] = 1.0
    if width % 2 == 0:
        columns[-1] = 1.0
    return columns


@lru_cache(maxsize=16)
def _adjoint_spectrum(plane: tuple[int, int], exponent: float, device: torch.device) -> Tensor:
    """The spectrum with every column counted as often as the half-plane stands for it."""
    return _spectrum(plane, exponent, device) * _columns(plane[1], device).unsqueeze(-1)


def check_spectrum(exponent: float, amplitude: float) -> None:
    """Refuse what is no number."""
    if not (math.isfinite(exponent) and math.isfinite(amplitude)):
        raise UsageError(
            f"exponent and amplitude must be numbers, got {exponent:g} and {amplitude:g}."
        )


@dataclass(frozen=True)
class SpectralCanvas(Canvas):
    """Fourier coefficients scaled like natural images' spectrum, in decorrelated colours.

    x = range(A · irfft2(q / max(f, 1/S)^p) / 4), orthonormal transform

    Attributes:
        exponent: p, how fast the spectrum falls.
        amplitude: standard deviation of the normal noise that q starts from.
        range: `linear` leaves colours to the priors, `sigmoid` keeps them within 0-255 (as Lucid
            does).
        chroma: factor on the two columns of A that hold colour differences. Less than 1 makes
            brightness move faster than colour, for searches that would end in a rainbow.

    Raises:
        UsageError: if the exponent or the amplitude is not a number, the chroma not a positive
            one, or the range is unknown.
    """

    exponent: float = 1.5
    amplitude: float = 0.01
    range: str = "linear"
    chroma: float = 1.0

    def __post_init__(self) -> None:
        check_range(self.range)
        check_spectrum(self.exponent, self.amplitude)
        if not (math.isfinite(self.chroma) and self.chroma > 0):
            raise UsageError(f"chroma must be a positive number, got {self.chroma:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        size = waves_size(shape)
        draws = [torch.randn(*size, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        return waves_of(planes_of(image, mean, self.range, self.chroma), self.exponent)

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        planes = waves(parameters, shape, self.exponent)
        return coloured(planes, mean, self.range, self.chroma)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        planes = decorrelated(gradient, image, mean, self.range, self.chroma)
        return waves_adjoint(planes, self.exponent)


@lru_cache(maxsize=16)
def _photo_spectrum(plane: tuple[int, int], channels: int, device: torch.device) -> Tensor:
    """Mean magnitude of photos' coefficients on the half-plane of `rfft2`, `[C, H, W/2 + 1]`."""
    frequency = np.hypot(np.fft.fftfreq(plane[0])[:, None], np.fft.rfftfreq(plane[1])[None, :])
    known = np.log(PHOTO_FREQUENCIES)
    logs = np.log(np.maximum(frequency, 1 / max(plane)))
    rows = PHOTO_MAGNITUDES if channels == 3 else PHOTO_MAGNITUDES[:1] * channels
    magnitude = [np.exp(np.interp(logs, known, np.log(row))) for row in rows]
    return torch.tensor(np.array(magnitude), dtype=torch.get_default_dtype(), device=device)


@dataclass(frozen=True)
class PhaseCanvas(Canvas):
    """Fourier phases alone: the magnitudes are those of photos (MACO, Fel et al. 2023).

    x = range(A · irfft2(contrast · m(f) · exp(iφ)) / 4), m the mean over photos

    Unlike `SpectralCanvas`, which may put any energy at any frequency, it needs no prior: its
    spectrum cannot leave that of photos. Here m is a mean over directions too.

    Attributes:
        contrast: factor on the magnitudes.
        range: as for `SpectralCanvas`.

    Raises:
        UsageError: if the contrast is not a positive number, or the range is unknown.
    """

    contrast: float = 1.0
    range: str = "sigmoid"

    def __post_init__(self) -> None:
        check_range(self.range)
        if not (math.isfinite(self.contrast) and self.contrast > 0):
            raise UsageError(f"contrast must be a positive number, got {self.contrast:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        height, width = fast_plane(shape)
        size = (shape[0], height, width // 2 + 1)
        draws = [torch.rand(*size, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(2 * math.pi).sub_(math.pi)

    def _magnitude(self, shape: Sequence[int], device: torch.device) -> Tensor:
        spectrum = _photo_spectrum(fast_plane(shape), int(shape[-3]), device)
        return self.contrast * spectrum

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        magnitude = self._magnitude(shape, parameters.device).expand_as(parameters)
        planes = _inverse(torch.polar(magnitude, parameters), shape)
        return coloured(planes, mean, self.range)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        g = _transform(decorrelated(gradient, image, mean, self.range))
        # ∂/∂φ of m·exp(iφ) is m·i·exp(iφ).
        along: Tensor = g.imag * parameters.cos() - g.real * parameters.sin()
        columns = _columns(fast_plane(image.shape)[1], image.device)
        along *= self._magnitude(image.shape, image.device) * columns
        return along


def fast_plane(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of the transform: the next sizes without large prime factors."""
    height, width = (scipy_fft.next_fast_len(int(n), real=True) for n in shape[-2:])
    return height, width


def _inverse(coefficients: Tensor, shape: Sequence[int]) -> Tensor:
    """The planes `[N, C, H, W]` with these Fourier coefficients."""
    full: Tensor = torch.fft.irfft2(coefficients, s=fast_plane(shape), norm="ortho")
    return full[..., : shape[-2], : shape[-1]]


def _transform(planes: Tensor) -> Tensor:
    """Fourier coefficients of planes with zeros beyond them.

    The adjoint of `_inverse`, but for how often each column counts.
    """
    coefficients: Tensor = torch.fft.rfft2(planes, s=fast_plane(planes.shape), norm="ortho")
    return coefficients


def waves_size(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Size of the parameters of `waves` for planes `[C, H, W]`: real and imaginary part last."""
    height, width = fast_plane(shape)
    return (shape[-3], height, width // 2 + 1, 2)


def waves(parameters: Tensor, shape: Sequence[int], exponent: float) -> Tensor:
    """irfft2(q / max(f, 1/S)^p), `[N, C, H, W]`, of q `[N, C, h, w/2 + 1, 2]`."""
    spectrum = _spectrum(fast_plane(shape), exponent, parameters.device)
    return _inverse(torch.view_as_complex(parameters * spectrum), shape)


def waves_adjoint(gradient: Tensor, exponent: float, into: Tensor | None = None) -> Tensor:
    """Adjoint of `waves`."""
    spectrum = _adjoint_spectrum(fast_plane(gradient.shape), exponent, gradient.device)
    coefficients = torch.view_as_real(_transform(gradient))
    pulled: Tensor = torch.mul(coefficients, spectrum, out=into)
    return pulled


def waves_of(planes: Tensor, exponent: float) -> Tensor:
    """q that gives these planes."""
    plane = fast_plane(planes.shape)
    # Beyond the canvas its border goes on: zeros there would be an edge in the spectrum.
    beyond = (0, plane[1] - planes.shape[3], 0, plane[0] - planes.shape[2])
    whole = torch.nn.functional.pad(planes, beyond, mode="replicate")
    return torch.view_as_real(_transform(whole)) / _spectrum(plane, exponent, planes.device)
