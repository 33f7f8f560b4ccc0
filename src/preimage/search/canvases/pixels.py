"""Canvases that hold the image's own pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from preimage.errors import UsageError
from preimage.images import squared_length
from preimage.search.canvases.canvas import Canvas
from preimage.search.canvases.colours import mean_colour
from preimage.search.projections import project_ball_
from preimage.search.starts import UniformNoise, seeded


@dataclass(frozen=True)
class PixelCanvas(Canvas):
    """The paper's canvas: the image's own pixels, kept in the ball of Eq. 6.

    Attributes:
        B_plus: radius of the ball of colour vectors, or None for no hard bound.
        noise: the start.
    """

    B_plus: float | None = 160.0
    noise: UniformNoise = field(default_factory=UniformNoise)

    def __post_init__(self) -> None:
        radius = self.B_plus
        number = isinstance(radius, int | float) and not isinstance(radius, bool)
        if radius is not None and not (number and math.isfinite(radius) and radius > 0):
            raise UsageError(f"B_plus must be a number above 0, or None, got {radius!r}.")

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
        return image + mean_colour(tuple(mean), image.dtype, image.device)

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        return parameters - mean_colour(tuple(mean), parameters.dtype, parameters.device)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        return gradient

    def constrain_(self, parameters: Tensor) -> None:
        parameters.clamp_(0, 255)


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
