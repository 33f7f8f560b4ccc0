"""A canvas of waves and places together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from preimage.errors import UsageError
from preimage.search.canvases.canvas import Canvas
from preimage.search.canvases.colours import check_range, coloured, decorrelated, planes_of
from preimage.search.canvases.pyramids import pyramid, pyramid_adjoint, pyramid_size
from preimage.search.canvases.spectra import (
    check_spectrum,
    waves,
    waves_adjoint,
    waves_of,
    waves_size,
)
from preimage.search.starts import seeded

PLACES = 2.5
"""Strength of the places beside the waves (docs/solvers.md)."""


@dataclass(frozen=True)
class FrameCanvas(Canvas):
    """A spectrum and a pyramid added up, in decorrelated colours: more variables than pixels.

    x = range(A · (irfft2(q / max(f, 1/S)^p) + 2.5 · Σ_l up^l(c_l) / (2^l · f_l^p)) / 4),
    f_l = 1/2^(l+1), the highest frequency of level l, whose size is H/2^l × W/2^l, rounded up

    A step rule that measures each variable by its own gradients moves every frequency alike on
    `SpectralCanvas`, and every place alike on `PyramidCanvas`. Here it does both. In the language
    of harmonic analysis it is a frame: each image has many sets of parameters.

    Attributes:
        exponent: p, how fast the spectrum falls.
        amplitude: standard deviation of the normal noise that q and c start from.
        range: as for `SpectralCanvas`.
        levels: of the pyramid, at most; one is the pixels themselves.

    Raises:
        UsageError: if the exponent or the amplitude is not a number, the range is unknown, or
            there is no level.
    """

    exponent: float = 1.5
    amplitude: float = 0.01
    range: str = "sigmoid"
    levels: int = 1

    def __post_init__(self) -> None:
        check_range(self.range)
        check_spectrum(self.exponent, self.amplitude)
        if self.levels < 1:
            raise UsageError(f"a frame needs at least one level, got {self.levels}.")

    @property
    def _strengths(self) -> tuple[float, float]:
        """Of the finest level, and of each level beside the next finer one."""
        return PLACES * 2.0**self.exponent, 2.0 ** (self.exponent - 1)

    def start(self, shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
        count = math.prod(waves_size(shape)) + pyramid_size(shape, self.levels)
        draws = [torch.randn(count, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        # All of it in the waves.
        q = waves_of(planes_of(image, mean, self.range), self.exponent).flatten(1)
        return torch.cat(
            [q, q.new_zeros(len(image), pyramid_size(image.shape, self.levels))], dim=1
        )

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        q, c = _parts(parameters, shape)
        finest, gain = self._strengths
        places = pyramid(c, shape, gain, self.levels)
        planes = torch.add(waves(q, shape, self.exponent), places, alpha=finest)
        return coloured(planes, mean, self.range)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        pulled = torch.empty_like(parameters)
        q, c = _parts(pulled, image.shape)
        finest, gain = self._strengths
        planes = decorrelated(gradient, image, mean, self.range)
        waves_adjoint(planes, self.exponent, into=q)
        pyramid_adjoint(planes.mul_(finest), c, gain, self.levels)
        return pulled


def _parts(parameters: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The waves `[N, C, h, w/2 + 1, 2]` and the places `[N, K]`."""
    size = waves_size(shape)
    count = math.prod(size)
    return parameters[:, :count].view(-1, *size), parameters[:, count:]
