"""Many channels on one canvas: how far apart, and which pixels each of them sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from preimage.errors import UsageError
from preimage.recipes.inversion import code_shape
from preimage.recipes.views import View
from preimage.representations import Geometry, Representation
from preimage.representations.cells import SpacedCells

Box = tuple[slice, slice]

WIDEST = 1536
"""Side of the largest canvas that many channels share."""


@dataclass(frozen=True)
class Grid:
    """Cells of a layer so far apart that the squares they look at do not meet.

    Attributes:
        geometry: of the layer.
        spacing: cells from one to the next: about 1.1·ρ/stride, odd.
        first: the first cell, in rows and columns, whose square lies within the image.
        input_size: side of the images the network was made for; canvases differ from it by whole
            strides, so that padding falls as it does there.
        most: how many channels fit on a canvas of `WIDEST` pixels.
    """

    geometry: Geometry
    spacing: int
    first: int
    input_size: int

    @staticmethod
    def of(representation: Representation) -> Grid:
        geometry, side = representation.geometry, representation.input_size
        is_map = len(code_shape(representation)) == 3
        if not is_map or geometry is None or side is None or geometry.receptive_field > side:
            raise UsageError(
                f"{representation.name}: the layout canvas needs cells that see a part of the "
                "image only; use the layout batch."
            )
        spacing = math.ceil(1.1 * geometry.receptive_field / geometry.stride)
        before = ((geometry.receptive_field - 1) / 2 - geometry.offset) / geometry.stride
        return Grid(geometry, spacing + 1 - spacing % 2, max(0, math.ceil(before)), side)

    def side(self, across: int) -> int:
        """Side of the image with this many channels in a row."""
        field, stride = self.geometry.receptive_field, self.geometry.stride
        last = self.geometry.offset + (self.first + (across - 1) * self.spacing) * stride
        end = math.ceil(last + (field - 1) / 2) + 1
        return end + (self.input_size - end) % stride

    @property
    def most(self) -> int:
        across = 1
        while self.side(across + 1) <= WIDEST:
            across += 1
        return across**2

    def layout(self, count: int) -> tuple[int, list[tuple[int, int]]]:
        """How many channels in a row for so many, and the row and column of each."""
        across = math.ceil(math.sqrt(count))
        return across, [divmod(i, across) for i in range(count)]

    def cell(self, place: tuple[int, int]) -> tuple[int, int]:
        """The layer's cell for a row and a column of the layout."""
        row, column = (self.first + at * self.spacing for at in place)
        return row, column

    def cells(self, representation: Representation, across: int) -> SpacedCells:
        """Φ of the layout's cells alone."""
        return SpacedCells(
            representation,
            self.geometry,
            self.input_size,
            first=self.first,
            spacing=self.spacing,
            across=across,
        )


def square(geometry: Geometry, cell: tuple[int, int], view: View) -> Box:
    """The pixels that a cell sees, moved inside the view where they reach beyond it."""
    slices = []
    for at, extent in zip(cell, view, strict=True):
        field = min(geometry.receptive_field, extent)
        centre = geometry.offset + at * geometry.stride
        start = min(max(0, round(centre - (field - 1) / 2)), extent - field)
        slices.append(slice(start, start + field))
    return slices[0], slices[1]


def field_of(weights: Tensor, geometry: Geometry | None, view: View) -> Box | None:
    """What an objective sees, if that is one cell of a map; None is all of the image."""
    if geometry is None or weights.dim() < 3:
        return None
    cells = weights.abs().sum(0).nonzero().tolist()
    if len(cells) != 1:
        return None
    return square(geometry, (cells[0][0], cells[0][1]), view)
