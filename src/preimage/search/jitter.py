"""Jitter: which part of the canvas the network sees (Eq. 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from preimage.search.stages import Stage


class Views:
    """Crops of the canvas, one place per problem and iteration.

    [jitter(x; τ)](v, u) = x(v + τ₂, u + τ₁), with τ uniform in {0..T−1}² around the centre crop.
    All places of a stage are drawn before it starts, per problem from its own generator, so that a
    problem in a batch sees the same views as alone and the loop need not wait for random numbers.

    Args:
        canvas: height and width of the canvas.
        view: height and width of what the network sees, no larger than the canvas.
    """

    def __init__(self, canvas: tuple[int, int], view: tuple[int, int]) -> None:
        self.view = view
        self.margin = (canvas[0] - view[0], canvas[1] - view[1])

    def places(
        self, stage: Stage, generators: Sequence[torch.Generator]
    ) -> Iterator[list[list[int]]]:
        """Top-left corners of a stage, iteration by iteration: problem, (row, column)."""
        shape = (stage.iterations, 2)
        draws = [torch.randint(stage.jitter, shape, generator=g) for g in generators]
        start = torch.tensor([(m - stage.jitter + 1) // 2 for m in self.margin])
        for places in torch.stack(draws, dim=1) + start:
            yield places.tolist()

    def centre(self, count: int) -> list[list[int]]:
        """The centre crop for every problem."""
        return [[margin // 2 for margin in self.margin]] * count

    def crop(self, image: Tensor, places: Sequence[Sequence[int]]) -> Tensor:
        """The views at these places, `[N, C, h, w]`; not copied where one place serves all."""
        height, width = self.view
        if all(place == places[0] for place in places):
            row, column = places[0]
            return image[..., row : row + height, column : column + width]
        crops = [
            image[i, :, row : row + height, column : column + width]
            for i, (row, column) in enumerate(places)
        ]
        return torch.stack(crops)

    def paste(
        self, gradient: Tensor, places: Sequence[Sequence[int]], canvas: Sequence[int]
    ) -> Tensor:
        """Adjoint of `crop`: the views' gradient as one of a canvas `[N, C, H, W]`.

        Where the view is the whole canvas this is the gradient itself, not a copy.
        """
        height, width = self.view
        if self.margin == (0, 0):
            return gradient
        into = gradient.new_zeros(len(gradient), *canvas)
        for i, (row, column) in enumerate(places):
            into[i, :, row : row + height, column : column + width] = gradient[i]
        return into
