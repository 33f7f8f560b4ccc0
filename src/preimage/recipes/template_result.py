"""What is made of a template's images: the record, and the figure with glyphs beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preimage.errors import PreimageError
from preimage.images import Tile, as_picture, stretch
from preimage.recipes.records import make_record, make_result
from preimage.recipes.settings import Settings
from preimage.recipes.template_search import Found
from preimage.recipes.template_subject import Layout, Subject
from preimage.representations import Representation
from preimage.representations.glyphs import GLYPH, draw_glyphs
from preimage.representations.grey import MEAN_GREY
from preimage.representations.hog import Hog
from preimage.search.result import Result


def check_hog(subject: Subject, hog: Representation) -> Hog:
    """HOG with the subject's cells.

    Raises:
        PreimageError: if Φ is anything else.
    """
    if not isinstance(hog, Hog) or hog.cell != subject.cell:
        raise PreimageError(f"the model's filters are for hog with cells of {subject.cell} pixels.")
    return hog


def template_result(
    subject: Subject,
    hog: Representation,
    settings: Settings | Mapping[str, Any],
    found: Found,
    seed: int,
) -> Result:
    """The result of what was found; settings as `make_record` takes them."""
    code = torch.from_numpy(subject.code)
    record = make_record(
        "template",
        hog,
        settings,
        found.outcome,
        0,
        code=code,
        image=None,
        seed=seed,
        restart=0,
        measured={
            "template": subject.to_record(),
            "score": found.score,
            "noise_score": found.noise_score,
            "filters": found.filters,
        },
        classes=None,
    )
    result = make_result(record, hog, found.outcome, 0, name=subject.title, code=code)
    return replace(result, panels=_panels(subject, result, found))


def _panels(subject: Subject, result: Result, found: Found) -> tuple[Tile, ...]:
    """The figure: filters as glyphs, the root's image where it has one, and the whole."""
    by_hoggle = "method" in result.record
    stretched = "by HOGgle, contrast stretched" if by_hoggle else "contrast stretched"
    name, value = result.headline
    own = found.filters[0]["score"]
    shown = _stretched(found.outcome.view[0])
    if subject.part is not None:
        weights = subject.component.parts[subject.part - 1].filter
        return (
            Tile(_glyphs(weights), "filter", "positive weights"),
            Tile(shown, subject.title, f"{name} {value}; {stretched}"),
        )
    tiles = [Tile(_glyphs(subject.component.root), "root filter", "positive weights")]
    if found.root is not None:
        seen = "the whole at half its size" if subject.joint else f"score {own:.2f}"
        tiles.append(Tile(_stretched(found.root[0]), "root", f"{seen}; {stretched}"))
    alone = "each inverted alone" if by_hoggle else "each searched alone"
    how = "searched at once" if subject.joint else alone
    tiles.append(Tile(_glyphs_of_all(subject), "with parts", "positive weights"))
    tiles.append(Tile(shown, subject.title, f"{name} {value}; {how}; {stretched}"))
    return tuple(tiles)


TAIL = 0.005
"""Of the pixels at either end, which a stretched picture shows black or white alike: a few extremes
would leave little contrast for the rest."""


def _stretched(image: Tensor) -> Image.Image:
    ends = torch.quantile(image, torch.tensor([TAIL, 1 - TAIL]))
    return as_picture(stretch(image.clamp(*ends.tolist()), (MEAN_GREY,)))


def _glyphs(weights: np.ndarray, side: int = GLYPH) -> Image.Image:
    return draw_glyphs(np.maximum(weights, 0), side)


def _glyphs_of_all(subject: Subject) -> Image.Image:
    """The parts' glyphs laid over the root's, whose cells are twice as large."""
    layout = Layout.of(subject.component)
    whole = Image.new("L", (layout.columns * GLYPH, layout.rows * GLYPH))
    every = [(_glyphs(subject.component.root, 2 * GLYPH), layout.root)]
    for part, place in zip(subject.component.parts, layout.parts, strict=True):
        every.append((_glyphs(part.filter), place))
    for glyphs, (row, column) in every:
        whole.paste(glyphs, (column * GLYPH, row * GLYPH))
    return whole
