"""Dense SIFT of grey images: VLFeat's numbers from a function that can be differentiated.

A descriptor has 4 x 4 bins of 8 orientations. From the image to the code:

1. Gradients are halved central differences, one-sided ones at the border.
2. A gradient's length is shared by the two nearest of 8 orientations, in proportion to its angle.
   The angle is VLFeat's fast approximation, off by up to 0.0062 rad.
3. Bins are sums of pixels weighted by a triangle as wide as two bins and by a Gaussian around the
   centre of the descriptor. Pixels beyond the border repeat the last one.
4. The descriptor is divided by its norm, clamped at 0.2 and divided by its norm again.

Sources: Lowe, *Distinctive image features from scale-invariant keypoints*, 2004; VLFeat 0.9.21,
with which tests/reference compares every number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from preimage.errors import UsageError, counted
from preimage.representations.base import Geometry
from preimage.representations.grey import GreyRepresentation, check_pixels

ORIENTATIONS = 8
BINS = 4
"""Bins of a descriptor along each side."""

EPSILON = 2.0**-23
"""Added to norms and, in the angle, to lengths."""
LEAST_SQUARE = 1e-8
"""The root of less is 0 (VLFeat's fast square root)."""

ANGLE_LINEAR, ANGLE_CUBIC = -0.9675, 0.1821
"""Coefficients of the approximate arc tangent."""

CLAMP = 0.2
WINDOW = 2.0
"""Standard deviation of the Gaussian, in bins."""


class _Orientations(torch.autograd.Function):
    """Gradients, each `[N, H, W]`, to what every orientation gets of them, `[N, 8, H, W]`.

    Written out because it holds two numbers a pixel where autograd would keep eight.
    """

    @staticmethod
    def forward(ctx: Any, across: Tensor, down: Tensor) -> Tensor:
        square = (across * across).add_(down * down)
        length = square.sqrt().mul_(square >= LEAST_SQUARE)
        ratio, _ = _ratio(across, down)
        # The odd cubic is the angle's distance from the diagonal; the signs unfold it.
        one = across.new_ones(())
        bend = (ratio * ratio).mul_(ANGLE_CUBIC).add_(ANGLE_LINEAR).mul_(ratio).sub_(math.pi / 4)
        angle = bend.mul_(torch.copysign(one, across)).add_(math.pi / 2)
        angle *= torch.copysign(one, down)
        turns = angle.add_(angle < 0, alpha=2 * math.pi).mul_(ORIENTATIONS / (2 * math.pi))
        floor = turns.floor()
        second = turns.sub_(floor)
        first = floor.long()
        # Modulo 8, which bits do ten times faster.
        indices = torch.stack([first, first + 1], 1).bitwise_and_(ORIENTATIONS - 1)
        values = torch.stack([length * (1 - second), length * second], 1)
        ctx.save_for_backward(across, down, length, second, indices)
        planes = across.new_zeros(len(across), ORIENTATIONS, *across.shape[1:])
        return planes.scatter_(1, indices, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        across, down, length, share, indices = ctx.saved_tensors
        first, second = gradient.gather(1, indices).unbind(1)
        along = torch.lerp(first, second, share).mul_(length > 0)
        along /= length.clamp(min=LEAST_SQUARE)  # any positive number serves where it is 0
        ratio, total = _ratio(across, down)
        slope = (ratio * ratio).mul_(3 * ANGLE_CUBIC).add_(ANGLE_LINEAR).div_(total.square_())
        turning = (second - first).mul_(length).mul_(slope).mul_(ORIENTATIONS / math.pi)
        one = across.new_ones(())
        by_across = torch.copysign(one, down).mul_(turning).mul_(down.abs().add_(EPSILON))
        by_down = turning.mul_(across)
        return by_across.addcmul_(across, along), torch.addcmul(-by_down, down, along)


def _ratio(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """(|x| − |y|)/(|x| + |y|), from −1 straight down or up to 1 to the sides; and |x| + |y|."""
    x, y = across.abs(), down.abs().add_(EPSILON)
    total = x + y
    return x.sub_(y).div_(total), total


def descriptor_count(side: int, bin: int, step: int) -> int:
    """Descriptors along a side: the centres of their outer bins are inside."""
    return (side - 1 - (BINS - 1) * bin) // step + 1


@dataclass(frozen=True)
class Band:
    """A few neighbouring descriptors along a side and the stretch of pixels they see.

    Attributes:
        start, stop: the stretch.
        weights: of its pixels for every bin of every descriptor, `[n·4, stop − start]`.
    """

    start: int
    stop: int
    weights: Tensor


@lru_cache(maxsize=16)
def bands_of(
    side: int, bin: int, step: int, window: float, dtype: torch.dtype, device: torch.device
) -> tuple[Band, ...]:
    """All descriptors along a side, in bands about twice as long as a descriptor.

    One product of matrices for all would spend most of its time on zeros.
    """
    weights = _weights(side, bin, step, window)
    found = []
    for band in torch.split(weights, -(-(BINS + 1) * bin // step)):
        pixels = band.sum((0, 1)).nonzero().flatten()
        start, stop = int(pixels[0]), int(pixels[-1]) + 1
        found.append(Band(start, stop, band[..., start:stop].flatten(0, 1).to(device, dtype)))
    return tuple(found)


def _weights(side: int, bin: int, step: int, window: float) -> Tensor:
    """Weight of every pixel along a side for every descriptor and bin, `[n, 4, side]`."""
    offsets = torch.arange(1 - bin, bin)
    matrix = torch.zeros(descriptor_count(side, bin, step), BINS, side, dtype=torch.float64)
    for index in range(BINS):
        to_centre = bin * ((BINS - 1) / 2 - index)
        gauss = torch.exp(-0.5 * ((offsets.double() - to_centre) / (bin * window)) ** 2)
        weights = (1 - offsets.abs().double() / bin) * gauss
        for number, row in enumerate(matrix[:, index]):
            pixels = (number * step + index * bin + offsets).clamp_(0, side - 1)
            row.index_add_(0, pixels, weights)
    return matrix


class _Pool(torch.autograd.Function):
    """Pixels to bins along one side: `[..., H, W]` to `[..., W, n·4]`, transposed for the other.

    Written out because autograd would make a whole gradient for every band.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, bands: Sequence[Band]) -> Tensor:
        ctx.bands, ctx.shape = bands, planes.shape
        pooled = [band.weights @ planes[..., band.start : band.stop, :] for band in bands]
        return torch.cat(pooled, -2).transpose(-1, -2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        planes = gradient.new_zeros(ctx.shape)
        lengths = [len(band.weights) for band in ctx.bands]
        parts = torch.split(gradient.transpose(-1, -2), lengths, -2)
        for band, part in zip(ctx.bands, parts, strict=True):
            planes[..., band.start : band.stop, :] += band.weights.T @ part
        return planes, None


def _divided_by_norm(descriptors: Tensor) -> Tensor:
    square = (descriptors * descriptors).sum(1, keepdim=True)
    norm = square.clamp(min=LEAST_SQUARE).sqrt() * (square >= LEAST_SQUARE)
    return descriptors / (norm + EPSILON)


class Dsift(GreyRepresentation):
    """Dense SIFT of grey images, 128 numbers a descriptor: `[N, 1, H, W]` to `[N, 128, h, w]`.

    h = ⌊(H − 1 − 3·cell) / step⌋ + 1, and w likewise; the first descriptor's first bin is centred
    on the first pixel. Channel t + 8·(x + 4·y) is orientation t (45° apart, from right to bottom)
    of the bin in column x and row y.

    Args:
        model: what it is called.
        cell: distance between the centres of bins, in pixels.
        step: distance between descriptors, in pixels.
        window: standard deviation of the Gaussian window, in bins. VLFeat's is 2, the published
            program of the paper has 1.5.
        renormalize: divide by the norm once more after the clamp, as VLFeat does and the published
            program of the paper does not.

    Raises:
        UsageError: if the cell or the step is no whole number of pixels, or the window is not
            positive.

    Example:
        >>> dsift = Dsift(cell=8, step=8)
        >>> dsift(torch.zeros(1, 1, 256, 256)).shape
        torch.Size([1, 128, 29, 29])
    """

    def __init__(
        self,
        model: str = "dsift",
        cell: int = 8,
        step: int = 8,
        window: float = WINDOW,
        renormalize: bool = True,
    ) -> None:
        if not (isinstance(window, int | float) and math.isfinite(window) and window > 0):
            raise UsageError(f"the window must be a positive number of bins, got {window!r}.")
        self.model = model
        self.cell, self.step = check_pixels(cell, "the cell size"), check_pixels(step, "the step")
        self.window, self.renormalize = float(window), renormalize
        self.options = {
            "cell": cell, "step": step, "window": self.window, "renormalize": renormalize
        }  # fmt: skip
        self.geometry = Geometry(5 * cell + 1, step, 1.5 * cell)

    def codes(self, planes: Tensor) -> Tensor:
        down, across = torch.gradient(planes, dim=(1, 2))
        pooled: Tensor = _Orientations.apply(across, down)  # type: ignore[no-untyped-call]
        for side in planes.shape[1:]:
            bands = bands_of(side, self.cell, self.step, self.window, planes.dtype, planes.device)
            pooled = _Pool.apply(pooled, bands)  # type: ignore[no-untyped-call]
        height, width = (side // BINS for side in pooled.shape[2:])
        bins = pooled.view(-1, ORIENTATIONS, height, BINS, width, BINS)
        # [N, t, h, y, w, x] to [N, y, x, t, h, w]
        descriptors = bins.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        clamped = _divided_by_norm(descriptors).clamp(max=CLAMP)
        return _divided_by_norm(clamped) if self.renormalize else clamped

    @property
    def least_side(self) -> int:
        return (BINS - 1) * self.cell + 1

    @property
    def grid(self) -> str:
        return f"one descriptor with bins of {counted(self.cell, 'pixel')}"

    def view_of(self, code_shape: Sequence[int]) -> tuple[int, int]:
        rows, columns = self.positions(code_shape)
        return (rows - 1) * self.step + self.least_side, (columns - 1) * self.step + self.least_side
