"""Cells of a layer that lie far apart, each computed from the pixels that it sees alone.

A cell's value depends on the square of its receptive field. On a large canvas with a cell here and
there, a network that runs over all of it computes whole maps for the sake of those cells. Without
any padding, a square of just that size gives a map of just that cell: each layer computes what the
next one needs and nothing else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from preimage.errors import UsageError
from preimage.representations.base import Geometry, Representation

PADDING_AT: dict[Any, int] = {
    torch.conv2d: 4,
    functional.max_pool2d: 3,
    torch.max_pool2d: 3,
    functional.avg_pool2d: 3,
}
"""Functions that pad, and where padding stands among their arguments."""


NOISE = 40.0
"""Standard deviation of the noise that the two ways are compared on."""

TOLERANCE = 1e-4
"""Largest difference that rounding explains, as a part of the largest value."""


class _Unpadded(TorchFunctionMode):
    """While this is entered, convolutions and pooling don't pad."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is functional.pad:
            return args[0]
        kwargs = dict(kwargs or {})
        place = PADDING_AT.get(func)
        if place is not None and len(args) > place:
            args = (*args[:place], 0, *args[place + 1 :])
        elif place is not None and "padding" in kwargs:
            kwargs["padding"] = 0
        return func(*args, **kwargs)


class SpacedCells(Representation):
    """Every `spacing`-th cell of a layer's map, `[N, D, across, across]`.

    Equal to `representation(image)[:, :, first::spacing, first::spacing]` for cells whose squares
    lie within the image. Where the network allows it, each square is cut out and seen by itself,
    without padding; a network that adds maps up or looks at all of them at once runs over the whole
    image. Which of the two is settled by comparing them on noise (`alone`).

    Args:
        representation: Φ, whose codes are maps.
        geometry: of its layer.
        input_size: side of an image with a cell whose square lies within.
        first: the first cell, in rows and in columns.
        spacing: cells from one to the next.
        across: how many there are in each direction.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("alexnet", layer="conv5")                 # doctest: +SKIP
        >>> SpacedCells(phi, phi.geometry, 227, 5, 13, 4).alone               # doctest: +SKIP
        True
    """

    geometry: Geometry
    input_size = None

    def __init__(
        self,
        representation: Representation,
        geometry: Geometry,
        input_size: int,
        *,
        first: int,
        spacing: int,
        across: int,
    ) -> None:
        self.whole = representation
        self.model, self.layer = representation.model, representation.layer
        self.channels, self.mean = representation.channels, representation.mean
        self.geometry = geometry
        self.defaults = representation.defaults
        self.weights, self.options = representation.weights, representation.options
        self.first, self.spacing, self.across = first, spacing, across
        self.alone = self._same_alone(input_size)

    def at_test_time(self) -> AbstractContextManager[None]:
        return self.whole.at_test_time()

    @property
    def device(self) -> torch.device:
        return self.whole.device

    def __call__(self, image: Tensor) -> Tensor:
        return (self._squares if self.alone else self._maps)(image, self.across)

    def _maps(self, image: Tensor, across: int) -> Tensor:
        """The cells, from maps of the whole image."""
        at = slice(self.first, self.first + (across - 1) * self.spacing + 1, self.spacing)
        return self.whole(image)[:, :, at, at]

    def _squares(self, image: Tensor, across: int) -> Tensor:
        """The cells, each from its square."""
        field, step = self.geometry.receptive_field, self.spacing * self.geometry.stride
        start = round(_start(self.geometry, self.first))
        end = start + (across - 1) * step + field
        # Not as slices, each of whose gradients would be an image.
        squares = image[..., start:end, start:end].unfold(2, field, step).unfold(3, field, step)
        batch = squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        with _Unpadded():
            code = self.whole(batch)
        return code.reshape(len(image), across, across, -1).permute(0, 3, 1, 2)

    def _same_alone(self, input_size: int) -> bool:
        """Whether a square by itself gives what its cell gives in an image."""
        start = _start(self.geometry, self.first)
        if not float(start).is_integer():
            return False
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, self.channels, input_size, input_size, generator=generator)
        image = (NOISE * noise).to(self.device)
        with torch.no_grad():
            whole = self._maps(image, 1)
            try:
                alone = self._squares(image, 1)
            except (RuntimeError, UsageError):
                # Maps without their borders do not fit those they are added to.
                return False
        if alone.shape != whole.shape:
            return False
        largest = float(whole.abs().max())
        return largest > 0 and torch.allclose(alone, whole, rtol=0, atol=TOLERANCE * largest)


def _start(geometry: Geometry, cell: int) -> float:
    """The first pixel that a cell sees."""
    return geometry.offset + cell * geometry.stride - (geometry.receptive_field - 1) / 2
