"""Starts: where a search begins on the canvas scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def seeded(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator per problem, so that the draws do not depend on the device or the batch."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@dataclass(frozen=True)
class UniformNoise:
    """Uniform noise whose 95 % quantile of signed values is `scale`·B/√3 (the authors' program).

    x = u · scale·B / (√3·q₉₅(u)),  u ~ U[−1, 1]

    Attributes:
        B: typical length of a colour vector (the paper: 80).
        scale: 1 in the authors' program; 1/100 starts near the mean colour instead.
    """

    B: float = 80.0
    scale: float = 1.0

    def draw(self, shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        """`[N, C, H, W]` with one generator per problem."""
        return torch.stack([self._draw_one(shape, generator) for generator in generators])

    def _draw_one(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        noise = 2 * torch.rand(*shape, generator=generator) - 1
        rank = math.ceil(0.95 * noise.numel())
        quantile = noise.flatten().kthvalue(rank).values
        return noise * (self.scale * self.B / math.sqrt(3) / quantile)


def centred(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image in the centre of a canvas of zeros, `[N, C, H, W]`: the start of a caricature."""
    canvas = image.new_zeros(*image.shape[:2], *size)
    top, left = (size[0] - image.shape[-2]) // 2, (size[1] - image.shape[-1]) // 2
    canvas[..., top : top + image.shape[-2], left : left + image.shape[-1]] = image
    return canvas
