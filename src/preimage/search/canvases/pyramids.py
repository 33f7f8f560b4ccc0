"""A canvas of images of halved sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from preimage.errors import UsageError
from preimage.search.canvases.canvas import Canvas
from preimage.search.starts import seeded

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
        count = pyramid_size(shape)
        draws = [torch.randn(count, generator=generator) for generator in seeded(seeds)]
        return torch.stack(draws).mul_(self.amplitude)

    def parameters_of(self, image: Tensor, mean: Sequence[float]) -> Tensor:
        # All of it in the finest level.
        finest = image.flatten(1)
        coarser = pyramid_size(image.shape) - finest.shape[1]
        return torch.cat([finest, finest.new_zeros(len(image), coarser)], dim=1)

    def render(self, parameters: Tensor, shape: Sequence[int], mean: Sequence[float]) -> Tensor:
        return pyramid(parameters, shape)

    def pull_back(
        self, gradient: Tensor, image: Tensor, mean: Sequence[float], parameters: Tensor
    ) -> Tensor:
        pulled = torch.empty_like(parameters)
        pyramid_adjoint(gradient, into=pulled)
        return pulled


def pyramid_size(shape: Sequence[int], levels: int | None = None) -> int:
    """How many parameters the pyramid of an image `[C, H, W]` has."""
    return int(shape[-3]) * sum(math.prod(size) for size in _sizes(*shape[-2:])[:levels])


def _levels(parameters: Tensor, shape: Sequence[int], levels: int | None) -> list[Tensor]:
    """The parameters of each level as an image, the finest first."""
    sizes = _sizes(*shape[-2:])[:levels]
    parts = torch.split(parameters, [shape[-3] * math.prod(size) for size in sizes], dim=1)
    return [part.view(-1, shape[-3], *size) for part, size in zip(parts, sizes, strict=True)]


def pyramid(
    parameters: Tensor, shape: Sequence[int], gain: float = 1.0, levels: int | None = None
) -> Tensor:
    """c₀ + g·up(c₁ + g·up(c₂ + …)), `[N, C, H, W]`: each level g times as strong as the finer."""
    *finer, image = _levels(parameters, shape, levels)
    for level in reversed(finer):
        enlarged = _enlarged(image)[..., : level.shape[-2], : level.shape[-1]]
        image = torch.add(level, enlarged, alpha=gain)
    return image


def pyramid_adjoint(
    gradient: Tensor, into: Tensor, gain: float = 1.0, levels: int | None = None
) -> None:
    """Adjoint of `pyramid`, written into `[N, K]`."""
    finest, *coarser = _levels(into, gradient.shape[-3:], levels)
    finest.copy_(gradient)
    for level in coarser:
        height, width = gradient.shape[-2:]
        even = functional.pad(gradient, (0, width % 2, 0, height % 2))
        gradient = torch.mul(_enlarged_adjoint(even), gain, out=level)


def _enlarged(image: Tensor) -> Tensor:
    """Twice the height and width, bilinearly; beyond the border its pixels go on.

    PyTorch's own interpolation takes twice as long.
    """
    n, c, height, width = image.shape
    wide = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    left, middle, right = wide[..., :-2], wide[..., 1:-1], wide[..., 2:]
    columns = torch.lerp(middle, left, 0.25), torch.lerp(middle, right, 0.25)
    rows = torch.stack(columns, dim=-1).flatten(-2)
    above, middle, below = rows[..., :-2, :], rows[..., 1:-1, :], rows[..., 2:, :]
    pairs = torch.lerp(middle, above, 0.25), torch.lerp(middle, below, 0.25)
    return torch.stack(pairs, dim=-2).view(n, c, 2 * height, 2 * width)


def _enlarged_adjoint(gradient: Tensor) -> Tensor:
    """Adjoint of `_enlarged`."""
    return _gathered(_gathered(gradient, -2), -1)


def _gathered(gradient: Tensor, dim: int) -> Tensor:
    """Along one dimension: 3/4 of a pixel's two halves and 1/4 of the halves beside them."""
    first, second = torch.unflatten(gradient, dim, (-1, 2)).unbind(dim)
    gathered = torch.add(first, second).mul_(0.75)
    count = gathered.shape[dim]
    gathered.narrow(dim, 0, count - 1).add_(first.narrow(dim, 1, count - 1), alpha=0.25)
    gathered.narrow(dim, 1, count - 1).add_(second.narrow(dim, 0, count - 1), alpha=0.25)
    # Beyond the border its pixels go on.
    gathered.narrow(dim, 0, 1).add_(first.narrow(dim, 0, 1), alpha=0.25)
    gathered.narrow(dim, count - 1, 1).add_(second.narrow(dim, count - 1, 1), alpha=0.25)
    return gathered


@lru_cache(maxsize=16)
def _sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths of a pyramid's levels, the finest first."""
    sizes = [(height, width)]
    while min(sizes[-1]) > COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return tuple(sizes)
