"""HOG of grey images: VLFeat's numbers from a function that can be differentiated (Sect. 4.1).

The 31 numbers of a cell are those of Felzenszwalb's detector (DPM v5, "UoCTTI"): 18 directed
orientations, 9 undirected ones and 4 sums that tell of texture. From the image to the code:

1. Gradients are central differences at the inner pixels; the outermost ring of pixels has none.
2. A gradient's length goes to the nearest of 18 orientations 20° apart (`hog`), or is shared by the
   two nearest (`hogb`, `hog-relu`).
3. It is shared bilinearly by the four cells whose centres surround the pixel. What falls to cells
   outside the image is lost.
4. Each cell lies in four blocks of 2 x 2 cells and is divided by the norm of each, the cells at the
   border being repeated. The quotients are clamped at 0.2 and added.

Sources: Felzenszwalb et al., *Object detection with discriminatively trained part-based models*,
2010; VLFeat 0.9.21, with which tests/reference compares every number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from preimage.errors import UsageError, counted, nearest
from preimage.representations.base import Geometry
from preimage.representations.glyphs import draw_glyphs
from preimage.representations.grey import LEAST_SIDE, GreyRepresentation, check_pixels

DIRECTED = 18
"""Orientations 20° apart, the first pointing right, the next ones turning towards the bottom."""
UNDIRECTED = 9
SPACING = math.pi / UNDIRECTED

EDGES = tuple(math.tan((k + 0.5) * SPACING) for k in range(4))
"""Slopes halfway between the five orientations of a quadrant: 10°, 30°, 50°, 70°. At 90° lies the
one tie that whole-numbered gradients can have; VLFeat gives it to the lower index, 80° or 260°."""

LEAST_LENGTH = 1e-10
"""What VLFeat divides a shorter gradient by to get its direction."""

CLAMP = 0.2
BLOCK_EPSILON = 1e-4
"""Added to a block's squared norm, inside the root."""


@dataclass(frozen=True)
class Directions:
    """Where gradients point, seen in the first quadrant: mirrored until both components are ≥ 0.

    All are floating-point tensors, whole numbers included: their arithmetic is the faster one.

    Attributes:
        length: of the gradient.
        across, down: its unit vector, mirrored.
        mirror_across, mirror_down: ±1, the mirrors.
        cosine, sine: of Δ, its angle to the centre of the nearest orientation, both at least 0.
        side: +1 where it points beyond that centre (seen from 0°), −1 where it falls short.
        first, second: indices of the nearest orientation and of the next, 0 to 18; 18 is 0 again.
    """

    length: Tensor
    across: Tensor
    down: Tensor
    mirror_across: Tensor
    mirror_down: Tensor
    cosine: Tensor
    sine: Tensor
    side: Tensor
    first: Tensor
    second: Tensor


@lru_cache(maxsize=8)
def _centres(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the orientations of the first quadrant, 0° to 80°."""
    angles = torch.arange(5, dtype=torch.float64) * SPACING
    return angles.cos().to(device, dtype), angles.sin().to(device, dtype)


def directions(across: Tensor, down: Tensor) -> Directions:
    """Nearest and next orientation of gradients.

    Δ comes from its cosine, which near a centre leaves it far coarser than the format. The steps
    and their roundings are therefore VLFeat's: otherwise codes would differ by 1e-4 in float32.
    """
    # PyTorch's float32 root on a CPU may be off in its last bit.
    length = (across * across).add_(down * down).double().sqrt_().to(across.dtype)
    safe = length.clamp(min=LEAST_LENGTH)
    one = across.new_ones(())
    # Straight up, the tie between 260° and 280° goes to 260°: up leans to the left.
    mirror_across = torch.copysign(one, across.add(down.clamp(max=0.0), alpha=1e-20))
    mirror_down = torch.copysign(one, down)
    x, y = across.abs(), down.abs()
    centre = _centre(x, y)
    index = centre.flatten().long()
    u, v = (table.index_select(0, index).view_as(x) for table in _centres(x.dtype, x.device))
    cross = (y * u).sub_(x * v).div_(safe)
    side = torch.copysign(one, cross)
    # The quadrant's orientations count up from 0, down from 9, up from 9, down from 18.
    turn = mirror_across * mirror_down
    first = (turn + mirror_down).mul_(-UNDIRECTED / 2).add_(UNDIRECTED).addcmul_(turn, centre)
    return Directions(
        length=length,
        across=x / safe,
        down=y / safe,
        mirror_across=mirror_across,
        mirror_down=mirror_down,
        cosine=(x * u).add_(y * v).div_(safe).clamp_(max=1.0),
        sine=cross.abs_(),
        side=side,
        first=first,
        second=torch.addcmul(first, turn, side),
    )


def _centre(x: Tensor, y: Tensor) -> Tensor:
    """Index of the nearest of the quadrant's five orientations."""
    centre, beyond = torch.zeros_like(x), torch.empty_like(x)
    for edge in EDGES:
        centre += torch.gt(y, edge * x, out=beyond)
    return centre


Numbers = tuple[Tensor | float, ...]


@dataclass(frozen=True)
class Assignment:
    """How much of a gradient's length the nearest orientation gets, and the next if it gets any.

    Attributes:
        shares: one weight or both, functions of Δ.
        slopes: their derivatives with respect to Δ.
    """

    shares: Callable[[Directions], Numbers]
    slopes: Callable[[Directions], Numbers]


def _bilinear(at: Directions) -> Numbers:
    second = torch.acos(at.cosine).div_(SPACING)
    return 1 - second, second


COS, SIN = math.cos(SPACING), math.sin(SPACING)


def _relu(at: Directions) -> Numbers:
    # The next orientation is 20° − Δ away.
    other = (COS * at.cosine).add_(at.sine, alpha=SIN)
    return (at.cosine - COS).div_(1 - COS), other.sub_(COS).div_(1 - COS).clamp_(min=0.0)


def _relu_slopes(at: Directions) -> Numbers:
    other = (SIN * at.cosine).sub_(at.sine, alpha=COS)
    return at.sine / (COS - 1), other.div_(1 - COS)


HARD = Assignment(shares=lambda at: (1.0,), slopes=lambda at: (0.0,))
"""All of it to the nearest orientation."""
BILINEAR = Assignment(shares=_bilinear, slopes=lambda at: (-1 / SPACING, 1 / SPACING))
"""max(0, 1 − Δ/20°)."""
RELU = Assignment(shares=_relu, slopes=_relu_slopes)
"""max(0, cos Δ − a)/(1 − a) with a = cos 20°: the paper's approximation of bilinear."""


@dataclass(frozen=True)
class Cells:
    """Where the inner pixels of an image of one size are pooled: the cells of a grid.

    The sums of a batch lie in one flat buffer: image by image, cell by cell, orientation by
    orientation. It has a ring of cells around the grid for what is lost, and an orientation 18.

    Attributes:
        rows, columns: of the grid without the ring.
        upper_left: where the sums of the cell up and left of each pixel begin, `[P]`.
        corners: for the four cells around a pixel: how much further its sums begin, and the weight
            of each pixel, `[P]`.
    """

    rows: int
    columns: int
    upper_left: Tensor
    corners: tuple[tuple[int, Tensor], ...]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.rows + 2, self.columns + 2, DIRECTED + 1)

    def buffer(self, count: int, like: Tensor) -> Tensor:
        """Zeros for the sums of `count` images, and as much behind as a pixel reaches further."""
        return like.new_zeros(count * math.prod(self._shape) + self.corners[-1][0])

    def addresses(self, orientation: Tensor) -> Tensor:
        """Where in the buffer the sums for pixels of an orientation begin, `[N·P]`."""
        images = torch.arange(len(orientation), device=orientation.device) * math.prod(self._shape)
        return (orientation.flatten(1).long() + self.upper_left).add_(images[:, None]).flatten()

    def add(self, sums: Tensor, orientation: Tensor, value: Tensor) -> None:
        """Add each pixel's value to the sums of its four cells."""
        addresses = self.addresses(orientation)
        for further, weight in self.corners:
            sums[further:].scatter_add_(0, addresses, (value.flatten(1) * weight).flatten())

    def read(self, sums: Tensor, orientation: Tensor) -> Tensor:
        """Adjoint of `add`: what each pixel finds in its four cells."""
        addresses = self.addresses(orientation)
        found = sums.new_zeros(len(orientation), len(self.upper_left))
        for further, weight in self.corners:
            found.addcmul_(sums[further:].index_select(0, addresses).view_as(found), weight)
        return found.view_as(orientation)

    def histograms(self, sums: Tensor, count: int) -> Tensor:
        """The buffer as `[N, 18, h, w]`, without what is lost."""
        grid = self._grid(sums, count)
        histograms = grid[:, :DIRECTED].contiguous()
        histograms[:, 0] += grid[:, DIRECTED]
        return histograms

    def spread(self, gradient: Tensor) -> Tensor:
        """Adjoint of `histograms`."""
        sums = self.buffer(len(gradient), gradient)
        grid = self._grid(sums, len(gradient))
        grid[:, :DIRECTED] = gradient
        grid[:, DIRECTED] = gradient[:, 0]
        return sums

    def _grid(self, sums: Tensor, count: int) -> Tensor:
        grid = sums[: count * math.prod(self._shape)].view(count, *self._shape)
        return grid[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


def cell_count(side: int, cell: int) -> int:
    """Cells along a side: the last one is at least half inside."""
    return (side + cell // 2) // cell


def _positions(side: int, cell: int) -> tuple[Tensor, Tensor]:
    """For the inner pixels along a side: the cell before, and how far the pixel is past its centre.

    Centres are at (cell − 1)/2 + i·cell; the distance is a fraction of a cell.
    """
    # Rounded where VLFeat rounds, in whatever precision the rest is computed.
    place = ((torch.arange(1, side - 1).double() + 0.5) / cell - 0.5).float()
    before = place.floor()
    return before.long(), (place - before).double()


@lru_cache(maxsize=8)
def cells_of(height: int, width: int, cell: int, dtype: torch.dtype, device: torch.device) -> Cells:
    """The grid of cells of an image, kept from call to call."""
    (row, down), (column, across) = _positions(height, cell), _positions(width, cell)
    columns = cell_count(width, cell)
    a_row = (columns + 2) * (DIRECTED + 1)
    upper_left = (row[:, None] + 1) * a_row + (column + 1) * (DIRECTED + 1)
    weights = [(1 - down, 1 - across), (1 - down, across), (down, 1 - across), (down, across)]
    further = (0, DIRECTED + 1, a_row, a_row + DIRECTED + 1)
    return Cells(
        rows=cell_count(height, cell),
        columns=columns,
        upper_left=upper_left.flatten().to(device),
        corners=tuple(
            (step, torch.outer(*pair).flatten().to(device, dtype))
            for step, pair in zip(further, weights, strict=True)
        ),
    )


class _Histograms(torch.autograd.Function):
    """Grey planes `[N, H, W]` to histograms of cells `[N, 18, h, w]`.

    Written out because autograd would keep and walk 18 planes of pixels. A gradient belongs to one
    or two orientations and to four cells: that many sums it is added to, and reads on the way back.
    """

    @staticmethod
    def forward(
        ctx: Any, planes: Tensor, cells: Cells, assignment: Assignment, backward: Assignment
    ) -> Tensor:
        across = planes[:, 1:-1, 2:] - planes[:, 1:-1, :-2]
        down = planes[:, 2:, 1:-1] - planes[:, :-2, 1:-1]
        at = directions(across, down)
        sums = cells.buffer(len(planes), planes)
        for index, share in zip((at.first, at.second), assignment.shares(at), strict=False):
            cells.add(sums, index, at.length * share)
        ctx.at, ctx.cells, ctx.assignment = at, cells, backward
        return cells.histograms(sums, len(planes))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        at, cells, assignment = ctx.at, ctx.cells, ctx.assignment
        sums = cells.spread(gradient)
        along, turning = torch.zeros_like(at.length), torch.zeros_like(at.length)
        weights = zip(assignment.shares(at), assignment.slopes(at), strict=True)
        for index, (share, slope) in zip((at.first, at.second), weights, strict=False):
            read = cells.read(sums, index)
            along += read * share
            turning += read * slope
        turning *= at.side
        across = (at.across * along).sub_(at.down * turning).mul_(at.mirror_across)
        down = (at.down * along).add_(at.across * turning).mul_(at.mirror_down)
        return _adjoint_of_differences(across, down), None, None, None


def _adjoint_of_differences(across: Tensor, down: Tensor) -> Tensor:
    count, height, width = across.shape
    planes = across.new_zeros(count, height + 2, width + 2)
    planes[:, 1:-1, 2:] = across
    planes[:, 1:-1, :-2] -= across
    planes[:, 2:, 1:-1] += down
    planes[:, :-2, 1:-1] -= down
    return planes


def normalize(histograms: Tensor) -> Tensor:
    """Histograms of cells `[N, 18, h, w]` to HOG `[N, 31, h, w]`: four block norms and a clamp.

    A block that reaches past the border repeats the cells there, as far as its norm goes.
    """
    undirected = histograms[:, :UNDIRECTED] + histograms[:, UNDIRECTED:]
    energy = F.pad((undirected * undirected).sum(1, keepdim=True), (1, 1, 1, 1), "replicate")
    rows = energy[:, :, 1:] + energy[:, :, :-1]
    scale = torch.rsqrt(rows[..., 1:] + rows[..., :-1] + BLOCK_EPSILON)
    # Blocks up and left, up and right, down and left, down and right of each cell.
    pairs = (scale[:, :, :-1], scale[:, :, 1:])
    blocks = torch.stack([side for row in pairs for side in (row[..., :-1], row[..., 1:])], 1)
    both = torch.cat([histograms, undirected], 1)
    clamped = (blocks * both[:, None]).clamp(max=CLAMP)
    texture = clamped[:, :, DIRECTED:].sum(2) / math.sqrt(DIRECTED)
    return torch.cat([clamped.sum(1) / 2, texture], 1)


@dataclass(frozen=True)
class Variant:
    """One of the three ways to assign orientations.

    Attributes:
        assignment: of the forward pass.
        surrogate: whose derivatives the straight-through backward pass uses, if there is one.
    """

    assignment: Assignment
    surrogate: Assignment | None = None


VARIANTS = {
    "hog": Variant(HARD, surrogate=BILINEAR),
    "hogb": Variant(BILINEAR),
    "hog-relu": Variant(RELU),
}

GRADIENTS = ("straight-through", "exact")


class Hog(GreyRepresentation):
    """HOG of grey images, 31 numbers a cell: `[N, 1, H, W]` to `[N, 31, h, w]`.

    h = ⌊(H + ⌊cell/2⌋) / cell⌋, and w likewise. Channels are VLFeat's: 0-17 directed orientations
    from right to bottom, 18-26 undirected ones, 27-30 the texture sums for the blocks up left, up
    right, down left and down right.

    Hard bins leave the gradient of `hog` blind to which orientation a pixel is nearly in.
    `straight-through` computes the code with the hard bins and its derivatives as if shares were
    bilinear, on which a search can act; `exact` is the derivative, almost everywhere. Where it is
    left open it is the former, and the preset `paper` takes the latter.

    Args:
        model: `hog`, `hogb` or `hog-relu`.
        cell: side of a cell in pixels.
        gradient: `straight-through` or `exact`; only `hog` has the choice.

    Raises:
        UsageError: if the cell is no whole number of pixels, or the gradient is not known or not a
            choice of this model.

    Example:
        >>> hog = Hog("hog", cell=8)
        >>> hog(torch.zeros(1, 1, 203, 251)).shape
        torch.Size([1, 31, 25, 31])
    """

    def __init__(self, model: str, cell: int = 8, gradient: str | None = None) -> None:
        if model not in VARIANTS:
            raise UsageError(f"there is no HOG {model!r}; {nearest(model, VARIANTS)}")
        variant = VARIANTS[model]
        choices = GRADIENTS if variant.surrogate else ("exact",)
        self._open = gradient is None
        gradient = choices[0] if gradient is None else gradient
        if gradient not in choices:
            known = nearest(str(gradient), choices)
            raise UsageError(f"{model} has no gradient {gradient!r}; {known}")
        self.model, self.cell = model, check_pixels(cell, "the cell size")
        self.options = {"cell": cell} | ({"gradient": gradient} if variant.surrogate else {})
        self.geometry = Geometry(4 * cell + 2 - cell % 2, cell, (cell - 1) / 2)
        self._assignment = variant.assignment
        exact = variant.surrogate is None or gradient == "exact"
        self._derivative = variant.assignment if exact else variant.surrogate

    def as_published(self) -> Hog:
        # What was asked for by name stays.
        return Hog(self.model, self.cell, "exact") if self._open else self

    def codes(self, planes: Tensor) -> Tensor:
        cells = cells_of(*planes.shape[1:], self.cell, planes.dtype, planes.device)
        histograms: Tensor = _Histograms.apply(  # type: ignore[no-untyped-call]
            planes, cells, self._assignment, self._derivative
        )
        return normalize(histograms)

    @property
    def least_side(self) -> int:
        """The least side with a block of 2 x 2 cells: the last cell is half inside."""
        return max(LEAST_SIDE, 2 * self.cell - self.cell // 2)

    @property
    def grid(self) -> str:
        return f"one block of 2x2 cells of {counted(self.cell, 'pixel')}"

    def view_of(self, code_shape: Sequence[int]) -> tuple[int, int]:
        rows, columns = self.positions(code_shape)
        return rows * self.cell, columns * self.cell

    def draw(self, code: Tensor) -> Image.Image:
        return draw_glyphs(code.numpy(force=True))
