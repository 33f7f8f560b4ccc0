"""Deep dreams: whatever excites a layer, more of it, at several scales, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preimage.energy import Amplification, Energy
from preimage.energy.losses import squared_norm
from preimage.errors import PreimageError, UsageError
from preimage.images import as_picture, load_photo, to_canvas, to_pixels
from preimage.recipes.records import (
    Observer,
    Photo,
    check_seeds,
    check_strength,
    headline,
    make_record,
    name_of,
    origin,
)
from preimage.recipes.settings import Settings
from preimage.recipes.views import check_representation
from preimage.representations import SeveralLayers
from preimage.search.canvases import BoxCanvas
from preimage.search.minimise import Outcome, Snapshot, minimise
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.step_rules import NormalizedMomentum

Onlooker = Callable[[float, Callable[[], Image.Image]], None]
"""Called after every iteration with how much is done, of 1, each octave an equal share, and with
what draws the whole picture as it is then, at the octave's size."""

DREAM_LAYERS: dict[str, str] = {
    "efficientnet-lite0": "block08",
    "alexnet": "relu3",
    "vgg16": "relu4_3",
}
"""By architecture, a layer that knows textures and parts of objects."""

SIZE = 1024
"""Longest side of a dream in pixels, unless another is asked for."""
TILE = 320
"""Side of a tile: what is in memory at once besides the pictures themselves."""
LEAST_TILE = 64
OVERLAP = 32
"""Pixels over which neighbouring tiles go over into each other."""
LEAST_SIDE = 32
"""An octave whose picture would be smaller than this is left out."""
STRENGTH = 300.0
ITERATIONS = 20
OCTAVES = 4
SCALE = 1.4
RATE = 5.0
"""Grey levels a step, at most."""


def dream_settings(
    representation: SeveralLayers,
    *,
    strength: float = STRENGTH,
    iterations: int = ITERATIONS,
    jitter: int | None = None,
) -> Settings:
    """Settings of the search in each tile.

    Args:
        representation: it suggests the jitter: a quarter of its stride, as for inversions.
        strength: C of Eq. 1.
        iterations: of each tile at each octave.
        jitter: T of Eq. 7.

    Raises:
        UsageError: if a value is out of range.
    """
    check_strength(strength)
    stride = 1 if representation.geometry is None else representation.geometry.stride
    own = max(1, round(stride / 4)) if jitter is None else jitter
    return Settings(
        preset="best",
        fidelity=strength,
        canvas=BoxCanvas(),
        step_rule=NormalizedMomentum(RATE),
        stages=(Stage(iterations, jitter=own, decay="cosine"),),
    )


@dataclass(frozen=True)
class Octaves:
    """At which scales a dream is dreamt, and in which tiles.

    Attributes:
        count: how many scales, the last one the image's own.
        scale: from one to the next.
        tile: side of a tile, in pixels.

    Raises:
        UsageError: if a value is out of range.
    """

    count: int = OCTAVES
    scale: float = SCALE
    tile: int = TILE

    def __post_init__(self) -> None:
        if not (isinstance(self.count, int) and self.count >= 1):
            raise UsageError(f"octaves must be a whole number of at least 1, got {self.count!r}.")
        if not 1.05 <= self.scale <= 4:
            raise UsageError(f"the scale must be a number from 1.05 to 4, got {self.scale!r}.")
        if not (isinstance(self.tile, int) and self.tile >= LEAST_TILE):
            raise UsageError(f"a tile must be at least {LEAST_TILE} pixels, got {self.tile!r}.")

    def sizes(self, width: int, height: int) -> list[tuple[int, int]]:
        """Width and height at each scale, the smallest first."""
        factors = [self.scale**-i for i in reversed(range(self.count))]
        sizes = [(round(width * f), round(height * f)) for f in factors]
        return [size for size in sizes if min(size) >= LEAST_SIDE] or sizes[-1:]


def dream(
    representation: SeveralLayers,
    image: Photo,
    *,
    size: int = SIZE,
    octaves: Octaves | None = None,
    settings: Settings | None = None,
    strength: float = STRENGTH,
    iterations: int = ITERATIONS,
    jitter: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Observer] = (),
    onlookers: Sequence[Onlooker] = (),
) -> Result:
    """An image with more of whatever excites a layer, at several scales (Inceptionism).

    x* = argmin R_α(x) + R_TVβ(x) − C·‖Φ(x)‖²/‖Φ(x₀)‖²,  from x₀, for each tile of each octave

    Unlike `caricature`, it does not keep to the components that the image excites, it goes from
    coarse to fine, and it takes images of any size: only one tile at a time is searched, and the
    pictures themselves are kept as bytes.

    Args:
        representation: one layer or more, from `several_layers`.
        image: a path or a PIL image.
        size: a photo whose longer side has more pixels is brought down to this.
        octaves: the scales and the tiles.
        settings: whole settings of a tile in place of the next three.
        strength: C, how much the dream counts against the natural image prior.
        iterations: of each tile at each octave.
        jitter: T of Eq. 7; by default a quarter of the layer's stride.
        seed: a whole number from 0; jitter and the places of tiles are drawn from it.
        callbacks: called after every iteration with a `Snapshot` of the tile.
        onlookers: called then with the whole picture; see `Onlooker`.

    Returns:
        A `Result` without a canvas. Its record's `growth` is ‖Φ(x)‖/‖Φ(x₀)‖ over all tiles, and
        `octaves` has their sizes and numbers of tiles.

    Raises:
        UsageError: if a value is out of range.
        PreimageError: if the image can't be read, is too small, or excites the layer nowhere.

    Source: Mordvintsev, Olah & Tyka, *Inceptionism* (2015).

    Example:
        >>> import preimage as pi
        >>> phi = pi.several_layers("efficientnet-lite0", ["block08"])
        >>> pi.dream(phi, "clouds.jpg").save("out")                          # doctest: +SKIP
    """
    check_representation(representation)
    check_seeds(seed, restarts=1)
    if not isinstance(size, int) or size < LEAST_SIDE:
        raise UsageError(f"the size must be at least {LEAST_SIDE} pixels, got {size!r}.")
    octaves = octaves or Octaves()
    if settings is None:
        settings = dream_settings(
            representation, strength=strength, iterations=iterations, jitter=jitter
        )
    if settings.jitter > octaves.tile // 2:
        raise UsageError(f"jitter must be at most half a tile, got {settings.jitter}.")
    photo, warnings = _reduced(load_photo(image, None, representation.channels), size)
    file = origin(image)
    dreamer = _Dreamer(representation, settings, octaves, photo, seed, callbacks, onlookers)
    picture = dreamer.run()
    record = make_record(
        "dream",
        representation,
        settings,
        dreamer.outcome(),
        0,
        code=torch.empty(0, device="meta"),
        image=file,
        seed=seed,
        restart=0,
        measured={"growth": dreamer.growth(photo, picture), "octaves": dreamer.record()},
        classes=None,
        warnings=warnings,
    )
    # The code's shape depends on the tile, and the rows of the trace are those of all octaves.
    record["representation"]["code_shape"] = None
    record["iterations"] = len(dreamer.traces)
    record["seconds_per_iteration"] = round(dreamer.seconds / len(dreamer.traces), 6)
    return Result(
        record=record,
        name=name_of(record["image"], "photo"),
        headline=headline(record),
        image=picture,
        reference=photo,
        canvas=None,
        trace=torch.stack(dreamer.traces).double().numpy(),
        trace_columns=dreamer.term_names,
    )


def _reduced(photo: Image.Image, size: int) -> tuple[Image.Image, list[str]]:
    """A photo whose longer side is at most `size`, and what the user should know of it."""
    if min(photo.size) < LEAST_SIDE:
        raise PreimageError(
            f"expected an image of at least {LEAST_SIDE}x{LEAST_SIDE} pixels to dream of, got "
            f"{photo.width}x{photo.height}."
        )
    longest = max(photo.size)
    if longest <= size:
        return photo, []
    width, height = (max(LEAST_SIDE, round(side * size / longest)) for side in photo.size)
    smaller = photo.resize((width, height), Image.Resampling.LANCZOS)
    was = f"{photo.width}x{photo.height}"
    return smaller, [f"brought down from {was} to {width}x{height}; a larger size keeps more of it"]


class _Dreamer:
    """State of one dream: the tiles that are done, and what was seen on the way."""

    def __init__(
        self,
        representation: SeveralLayers,
        settings: Settings,
        octaves: Octaves,
        photo: Image.Image,
        seed: int,
        callbacks: Sequence[Observer],
        onlookers: Sequence[Onlooker],
    ) -> None:
        self.phi, self.settings, self.octaves = representation, settings, octaves
        self.photo, self.seed = photo, seed
        self.callbacks, self.onlookers = callbacks, onlookers
        self.sizes = octaves.sizes(*photo.size)
        generator = np.random.default_rng(seed)
        self.grids = [list(_tiles(size, octaves.tile, generator)) for size in self.sizes]
        self.total = sum(map(len, self.grids)) * settings.iterations
        self.done = 0
        self.seconds = 0.0
        self.traces: list[Tensor] = []
        self.terms: Tensor | None = None
        self.term_names: tuple[str, ...] = ()

    def run(self) -> Image.Image:
        """The dream, octave by octave: each begins with what the one before has added."""
        change: Image.Image | None = None
        picture = self.photo
        for octave, (size, tiles) in enumerate(zip(self.sizes, self.grids, strict=True)):
            base = self.photo
            if size != base.size:
                base = base.resize(size, Image.Resampling.LANCZOS)
            pixels = np.array(base)
            if change is not None:
                _add(pixels, np.asarray(change.resize(size, Image.Resampling.BICUBIC)))
            self._octave(octave, pixels, tiles)
            picture = as_picture(pixels)
            change = as_picture(_subtract(pixels, np.asarray(base)))
        if self.terms is None:
            raise PreimageError(
                "nothing in the image excites the layer: choose another layer or image."
            )
        return picture

    def _octave(self, octave: int, pixels: np.ndarray, tiles: Sequence[_Tile]) -> None:
        """Dream every tile in place."""
        outcomes = []
        for number, tile in enumerate(tiles):
            part = pixels[tile.rows, tile.columns]
            before = octave + number / len(tiles)
            show = partial(self._show, pixels, tile, before, 1 / len(tiles))
            outcome = self._search(to_canvas(part, self.phi.mean), [self._forward, show])
            self.done += self.settings.iterations
            if outcome is None:
                continue
            self.seconds += outcome.seconds
            part[...] = self._taken_over(part, tile, outcome.image)
            outcomes.append((outcome.trace[:, 0].cpu(), outcome.terms.cpu()))
            self.term_names = outcome.term_names
        if outcomes:
            self.traces.extend(torch.stack([trace for trace, _ in outcomes]).mean(0))
            self.terms = torch.stack([terms for _, terms in outcomes]).mean(0)

    def _taken_over(self, part: np.ndarray, tile: _Tile, image: Tensor) -> np.ndarray:
        """A tile's part of the picture once what was dreamt there has been taken over."""
        dreamt = to_pixels(image, self.phi.mean).astype(np.float32)
        taken: np.ndarray = np.rint(part + tile.window(part.shape) * (dreamt - part))
        return taken

    def _search(self, image: Tensor, callbacks: Sequence[Observer]) -> Outcome | None:
        """One tile's search, or None if nothing in it excites the layer."""
        image = image.to(self.phi.device)
        margin = self.settings.jitter - 1
        height, width = (side - margin for side in image.shape[-2:])
        top, left = (margin // 2,) * 2
        with torch.no_grad():
            code = self.phi(image[..., top : top + height, left : left + width])
        if not float(squared_norm(code)) > 0:
            return None
        return minimise(
            Energy(
                self.phi,
                loss=Amplification(code),
                priors=self.settings.priors,
                fidelity=self.settings.fidelity,
            ),
            canvas=self.settings.canvas,
            stages=self.settings.stages,
            softening=self.settings.softening,
            step_rule=self.settings.step_rule,
            view=(height, width),
            seeds=[self.seed + self.done],
            start=self.settings.canvas.parameters_of(image, self.phi.mean),
            callbacks=callbacks,
        )

    def _forward(self, snapshot: Snapshot) -> None:
        """Let callbacks count over all tiles."""
        overall = replace(snapshot, iteration=self.done + snapshot.iteration, iterations=self.total)
        for callback in self.callbacks:
            callback(overall)

    def _show(
        self, pixels: np.ndarray, tile: _Tile, before: float, share: float, snapshot: Snapshot
    ) -> None:
        """Let onlookers see the whole picture; octaves are counted, and parts of them."""

        def draw() -> Image.Image:
            whole = pixels.copy()
            part = whole[tile.rows, tile.columns]
            part[...] = self._taken_over(part, tile, snapshot.image)
            return as_picture(whole)

        octaves = before + share * snapshot.iteration / snapshot.iterations
        for onlooker in self.onlookers:
            onlooker(octaves / len(self.sizes), draw)

    def outcome(self) -> Outcome:
        """What the record takes from a search: the means over the last octave's tiles."""
        assert self.terms is not None
        nothing = torch.empty(1, self.phi.channels, 0, 0, device=self.phi.device)
        trace = torch.stack(self.traces)[:, None]
        return Outcome(nothing, nothing, self.terms, self.term_names, trace, self.seconds)

    def record(self) -> dict[str, object]:
        """The record's `octaves`: what they were asked to be, and what they became."""
        sizes = [
            {"width": width, "height": height, "tiles": len(tiles)}
            for (width, height), tiles in zip(self.sizes, self.grids, strict=True)
        ]
        asked = {"count": self.octaves.count, "scale": self.octaves.scale}
        return {**asked, "tile": self.octaves.tile, "sizes": sizes}

    @torch.no_grad()
    def growth(self, before: Image.Image, after: Image.Image) -> float:
        """‖Φ(after)‖/‖Φ(before)‖ over the last octave's tiles."""
        squared = [0.0, 0.0]
        for tile in self.grids[-1]:
            for i, picture in enumerate((before, after)):
                part = np.asarray(picture.crop(tile.box))
                code = self.phi(to_canvas(part, self.phi.mean).to(self.phi.device))
                squared[i] += float(squared_norm(code))
        return math.sqrt(squared[1] / squared[0])


@dataclass(frozen=True)
class _Tile:
    """A part of a picture; `open` says at which of its sides the picture goes on."""

    top: int
    left: int
    bottom: int
    right: int
    open: tuple[bool, bool, bool, bool]

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

    def window(self, shape: Sequence[int]) -> np.ndarray:
        """How much of the change is taken over, falling to zero where the picture goes on."""
        top, left, bottom, right = self.open
        rows = _ramp(self.bottom - self.top, top, bottom)
        columns = _ramp(self.right - self.left, left, right)
        window: np.ndarray = rows[:, None] * columns[None, :]
        return window[..., None] if len(shape) == 3 else window


def _ramp(length: int, before: bool, after: bool) -> np.ndarray:
    ramp = np.ones(length, np.float32)
    rise = np.linspace(0, 1, OVERLAP + 2, dtype=np.float32)[1:-1]
    rise = rise[: length // 2]
    if before:
        ramp[: len(rise)] *= rise
    if after:
        ramp[length - len(rise) :] *= rise[::-1]
    return ramp


def _tiles(size: tuple[int, int], tile: int, generator: np.random.Generator) -> Iterator[_Tile]:
    """Tiles that cover a picture, neighbours overlapping, from a random place on."""
    width, height = size
    across = list(_spans(width, tile, int(generator.integers(tile))))
    for top, bottom in _spans(height, tile, int(generator.integers(tile))):
        for left, right in across:
            yield _Tile(
                top, left, bottom, right, (top > 0, left > 0, bottom < height, right < width)
            )


def _spans(length: int, tile: int, shift: int) -> Iterator[tuple[int, int]]:
    """First and one past the last pixel of tiles along one side, none longer than a tile."""
    if length <= tile:
        yield 0, length
        return
    step = tile - OVERLAP
    # The first tile ends somewhere within a step, but is wide enough for the network.
    end = LEAST_TILE + shift % (tile - LEAST_TILE + 1)
    start = 0
    while end < length:
        yield start, end
        start, end = end - OVERLAP, end + step
    # What is left over is never narrower than the least tile: it reaches back instead.
    yield min(start, length - LEAST_TILE), length


def _add(pixels: np.ndarray, halved: np.ndarray) -> None:
    """pixels ← clip(pixels + change) in place, row by row, so that no larger copy is made."""
    for row, change in zip(pixels, halved, strict=True):
        row[...] = np.clip(row.astype(np.int16) + 2 * (change.astype(np.int16) - 128), 0, 255)


def _subtract(pixels: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Half the difference around 128, as bytes: what the next octave begins with."""
    halved = np.empty_like(pixels)
    for row, dreamt, before in zip(halved, pixels, base, strict=True):
        row[...] = (dreamt.astype(np.int16) - before + 1) // 2 + 128
    return halved
