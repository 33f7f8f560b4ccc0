"""A film of a search."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from preimage.images import as_picture, to_pixels

if TYPE_CHECKING:
    from torch import Tensor

    from preimage.representations import Representation
    from preimage.search import Snapshot

FRAMES = 60
FRAME_MS = 70
LAST_MS = 2000
"""The result stays in view before the film begins again."""
WIDEST = 1200
"""Pixels across; with many problems each becomes smaller rather than the film endlessly wide."""
DREAM_WIDEST = 640
"""Dreams have fine detail in every frame, which a GIF hardly compresses."""


class Film:
    """Frames, and a GIF of them.

    Args:
        widest: pixels across, at most.
    """

    def __init__(self, widest: int = WIDEST) -> None:
        self.widest = widest
        self.frames: list[Image.Image] = []

    def gif(self, results: Sequence[Image.Image] = ()) -> bytes:
        """The film as an animated GIF that ends with the results, if given, and then repeats.

        Frames of another size are brought to that of the last.
        """
        last = _side_by_side(results, self.widest) if results else self.frames[-1]
        earlier = [f if f.size == last.size else f.resize(last.size) for f in self.frames]
        frames = [*earlier, last]
        # Each frame has its own colours: noise at the start and a photo at the end share few.
        coloured = [frame.quantize(256) for frame in frames]
        buffer = io.BytesIO()
        coloured[0].save(
            buffer,
            format="GIF",
            save_all=True,
            append_images=coloured[1:],
            duration=[FRAME_MS] * len(self.frames) + [LAST_MS],
            loop=0,
        )
        return buffer.getvalue()


class Recorder(Film):
    """A callback of `minimise` that keeps about `FRAMES` images, evenly spaced over the search.

    Args:
        mean: mean colour of the canvas scale.
        view: side of the centre crop that is shown, or None for the whole canvas.
    """

    def __init__(self, mean: Sequence[float], view: int | None = None) -> None:
        super().__init__()
        self.mean, self.view = mean, view

    @staticmethod
    def of(representation: Representation) -> Recorder:
        """A recorder of what a representation sees without jitter."""
        return Recorder(representation.mean, representation.input_size)

    def __call__(self, snapshot: Snapshot) -> None:
        every = max(1, round(snapshot.iterations / FRAMES))
        if snapshot.iteration % every == 1 % every:
            self.frames.append(
                _side_by_side([self.picture(image) for image in snapshot.image], self.widest)
            )

    def picture(self, image: Tensor) -> Image.Image:
        """What is shown of a canvas `[C, H, W]`."""
        if self.view is not None:
            top, left = ((side - self.view) // 2 for side in image.shape[-2:])
            image = image[:, top : top + self.view, left : left + self.view]
        return as_picture(to_pixels(image, self.mean))


class DreamRecorder(Film):
    """An onlooker of `dream` that keeps about `FRAMES` pictures, as many of every octave."""

    def __init__(self) -> None:
        super().__init__(DREAM_WIDEST)

    def __call__(self, done: float, draw: Callable[[], Image.Image]) -> None:
        if done * FRAMES >= len(self.frames):
            self.frames.append(_side_by_side([draw()], self.widest))


def _side_by_side(pictures: Sequence[Image.Image], widest: int) -> Image.Image:
    columns = math.ceil(math.sqrt(len(pictures)))
    width = min(pictures[0].width, widest // columns)
    height = max(1, round(width * pictures[0].height / pictures[0].width))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for i, picture in enumerate(pictures):
        scaled = picture.convert("RGB").resize((width, height))
        sheet.paste(scaled, (i % columns * width, i // columns * height))
    return sheet
