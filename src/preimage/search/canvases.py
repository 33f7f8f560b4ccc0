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
from itertools import pairwise

import numpy as np
import torch
from scipy import fft as scipy_fft
from torch import Tensor
from torch.nn import functional

from preimage.errors import UsageError, nearest
from preimage.images import squared_length
from preimage.search.projections import project_ball_
from preimage.search.starts import UniformNoise, seeded

LUCID_COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the colour covariance of ImageNet photos, as published with Lucid (Olah 2017)."""

PHOTO_FREQUENCIES = (1 / 224, 1 / 112, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
PHOTO_MAGNITUDES = (
    (352.0, 187.0, 91.1, 37.9, 15.2, 6.21, 2.59, 0.991),
    (307.0, 152.0, 76.5, 32.5, 12.3, 4.41, 1.63, 0.825),
    (286.0, 151.0, 78.0, 33.4, 13.6, 5.74, 2.22, 1.14),
)
"""Mean magnitude of photos' orthonormal Fourier transform at these frequencies (cycles a pixel),
one row for each decorrelated colour; `benchmarks/photo_spectrum.py` made it from 200 photos."""


class Canvas(ABC):
    """A parameterization of an image."""

    @abstractmethod
    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Parameters of a first canvas of `[C, H, W]`, one seed per problem."""

    @abstractmethod
    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        """The image `[N, C, H, W]` on the canvas scale."""

    @abstractmethod
    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
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

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
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

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
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
    return _spectrum(plane, exponent, device) * _columns(plane[1], device)


@lru_cache(maxsize=16)
def _colour_basis(channels: int, chroma: float, device: torch.device) -> Tensor:
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
        if self.range not in RANGES:
            raise UsageError(f"there is no range {self.range!r}; {nearest(self.range, RANGES)}")
        if not (math.isfinite(self.exponent) and math.isfinite(self.amplitude)):
            raise UsageError(
                "exponent and amplitude must be numbers, "
                f"got {self.exponent:g} and {self.amplitude:g}."
            )
        if not (math.isfinite(self.chroma) and self.chroma > 0):
            raise UsageError(f"chroma must be a positive number, got {self.chroma:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        height, width = fast_plane(shape)
        size = (shape[0], height, width // 2 + 1, 2)
        draws = [torch.randn(*size, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        plane = fast_plane(image.shape)
        z = RANGES[self.range][2](image, _colour(tuple(mean), image.dtype, image.device))
        basis = _colour_basis(image.shape[1], self.chroma, image.device).to(z.dtype)
        x = torch.linalg.solve(basis, z.flatten(2)).view_as(z)
        # Beyond the canvas its border goes on: zeros there would be an edge in the spectrum.
        beyond = (0, plane[1] - image.shape[3], 0, plane[0] - image.shape[2])
        whole = torch.nn.functional.pad(x, beyond, mode="replicate")
        spectrum = torch.fft.rfft2(whole, norm="ortho")
        return torch.view_as_real(spectrum / _spectrum(plane, self.exponent, image.device))

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        spectrum = _spectrum(fast_plane(shape), self.exponent, parameters.device)
        coefficients = torch.view_as_complex(parameters) * spectrum
        return _image_of(coefficients, shape, mean, self.range, self.chroma)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        spectrum = _coefficients_of(gradient, image, mean, self.range, self.chroma)
        spectrum *= _adjoint_spectrum(fast_plane(image.shape), self.exponent, image.device)
        return torch.view_as_real(spectrum)


COARSEST = 4
"""Levels of a pyramid are halved while their shorter side is longer than this."""


@dataclass(frozen=True)
class PyramidCanvas(Canvas):
    """Images of halved sizes, enlarged bilinearly and added up.

    x = c₀ + up(c₁ + up(c₂ + …)),  c_l of size H/2^l × W/2^l, rounded up

    A step moves all scales at once, as on `SpectralCanvas`. Unlike there, each variable is also a
    place: where a code is very sensitive (HOG in a smooth region, whose faint gradients it divides
    by their own norm) its gradients do not drown those of the rest of the image.

    Attributes:
        amplitude: standard deviation of the normal noise every level starts from, on the canvas
            scale.

    Raises:
        UsageError: if the amplitude is not a number.
    """

    amplitude: float = 0.5

    def __post_init__(self) -> None:
        if not math.isfinite(self.amplitude):
            raise UsageError(f"the amplitude must be a number, got {self.amplitude:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        count = shape[0] * sum(math.prod(size) for size in _levels(*shape[-2:]))
        draws = [torch.randn(count, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        # All of it in the finest level.
        count = image.shape[1] * sum(math.prod(size) for size in _levels(*image.shape[-2:]))
        finest = image.flatten(1)
        return torch.cat([finest, finest.new_zeros(len(image), count - finest.shape[1])], dim=1)

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        sizes = _levels(*shape[-2:])
        lengths = [shape[0] * math.prod(size) for size in sizes]
        parts = zip(torch.split(parameters, lengths, dim=1), sizes, strict=True)
        levels = [part.view(-1, shape[0], *size) for part, size in parts]
        image = levels.pop()
        while levels:
            finer = levels.pop()
            image = functional.interpolate(image, size=finer.shape[-2:], mode="bilinear") + finer
        return image

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        parts = [gradient.flatten(1)]
        sizes = _levels(*image.shape[-2:])
        for finer, coarser in pairwise(sizes):
            gradient = torch.ops.aten.upsample_bilinear2d_backward(
                gradient, finer, [*image.shape[:2], *coarser], False
            )
            parts.append(gradient.flatten(1))
        return torch.cat(parts, 1)


@lru_cache(maxsize=16)
def _levels(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths of a pyramid's levels, the finest first."""
    sizes = [(height, width)]
    while min(sizes[-1]) > COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return tuple(sizes)


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
        if self.range not in RANGES:
            raise UsageError(f"there is no range {self.range!r}; {nearest(self.range, RANGES)}")
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
        return _image_of(torch.polar(magnitude, parameters), shape, mean, self.range)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        g = _coefficients_of(gradient, image, mean, self.range)
        # ∂/∂φ of m·exp(iφ) is m·i·exp(iφ).
        along: Tensor = g.imag * parameters.cos() - g.real * parameters.sin()
        columns = _columns(fast_plane(image.shape)[1], image.device)
        along *= self._magnitude(image.shape, image.device) * columns
        return along


@dataclass(frozen=True)
class BlurredCanvas(Canvas):
    """Pixels seen through a blur, the faintest of them held at the mean colour.

    x = G_σ ∗ p,  p(v,u) ← 0 where ‖p(v,u)‖ is below its `clipped` quantile

    The blur and the small-norm clipping of Yosinski et al. (2015). There the image itself is
    blurred after some of the steps; here every step passes through the blur.

    Attributes:
        sigma: σ, standard deviation of the blur in pixels.
        clipped: fraction of the pixels that stays at the mean colour.
        noise: the start.

    Raises:
        UsageError: if a value is out of range.
    """

    sigma: float = 1.0
    clipped: float = 0.0
    noise: UniformNoise = field(default_factory=UniformNoise)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise UsageError(f"the blur's sigma must be a positive number, got {self.sigma:g}.")
        if not 0 <= self.clipped < 1:
            raise UsageError(f"clipped must be a fraction below 1, got {self.clipped:g}.")

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        return self.noise.draw(shape, seeded(seeds))

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        return _blur(parameters, self.sigma)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        # Symmetric, with zeros around: its own adjoint.
        return _blur(gradient, self.sigma)

    def constrain_(self, parameters: Tensor) -> None:
        norms = squared_length(parameters)
        rank = int(self.clipped * norms[0].numel())
        if rank > 0:
            least = norms.flatten(1).kthvalue(rank).values.view(-1, 1, 1, 1)
            parameters.mul_(norms > least)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of every channel, down and across; beyond the border lie zeros."""
    reach = math.ceil(3 * sigma)
    at = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1)
    groups = image.shape[1]
    down = torch.nn.functional.conv2d(image, kernel[..., None], padding=(reach, 0), groups=groups)
    return torch.nn.functional.conv2d(down, kernel[..., None, :], padding=(0, reach), groups=groups)


def fast_plane(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of the transform: the next sizes without large prime factors."""
    height, width = (scipy_fft.next_fast_len(int(n), real=True) for n in shape[-2:])
    return height, width


def _image_of(
    coefficients: Tensor,
    shape: Sequence[int],
    mean: Sequence[float],
    range: str,
    chroma: float = 1.0,
) -> Tensor:
    """The image with these Fourier coefficients of its decorrelated colours."""
    full = torch.fft.irfft2(coefficients, s=fast_plane(shape), norm="ortho")
    x = full[..., : shape[-2], : shape[-1]]
    basis = _colour_basis(int(shape[0]), chroma, x.device)
    z = (basis @ x.flatten(2)).view(-1, *shape)
    return RANGES[range][0](z, _colour(tuple(mean), z.dtype, z.device))


def _coefficients_of(
    gradient: Tensor, image: Tensor, mean: Sequence[float], range: str, chroma: float = 1.0
) -> Tensor:
    """Adjoint of `_image_of`'s derivative, but for how often each column counts."""
    colour = _colour(tuple(mean), image.dtype, image.device)
    gradient = RANGES[range][1](gradient, image, colour)
    decorrelated = _colour_basis(image.shape[1], chroma, image.device).T @ gradient.flatten(2)
    # The transform pads with zeros up to the plane: the adjoint of the crop.
    plane = fast_plane(image.shape)
    spectrum: Tensor = torch.fft.rfft2(decorrelated.view_as(gradient), s=plane, norm="ortho")
    return spectrum


@lru_cache(maxsize=16)
def _colour(mean: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The mean colour, `[1, C, 1, 1]`; kept, so that the loop copies nothing to the device."""
    return torch.tensor(mean, dtype=dtype, device=device).view(1, -1, 1, 1)
