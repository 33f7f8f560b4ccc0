"""Pictures of cases on one page, as the paper's figures show them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from preimage.experiments.cases import Finished
from preimage.images import Tile, contact_sheet
from preimage.recipes.records import headline
from preimage.search.result import caption_of


def tile(done: Finished, title: str) -> Tile:
    """A case's picture with the one figure of its record under it."""
    return Tile(done.picture(), title, caption_of(headline(done.record)))


def reference_tile(done: Finished) -> Tile:
    """The photo that a case has inverted."""
    return Tile(done.picture("reference.png"), "photo", done.case.target.name)


def sheet(
    found: Sequence[Finished],
    titles: Sequence[str],
    columns: int,
    footer: str = "",
    photo: bool = False,
) -> Image.Image:
    """Pre-images in rows, the first one's photo before them if wanted.

    Args:
        found: the cases.
        titles: a line over each.
        columns: pictures in a row.
        footer: words under all of them.
        photo: whether to begin with the photo.
    """
    tiles = [tile(done, title) for done, title in zip(found, titles, strict=True)]
    if photo:
        tiles.insert(0, reference_tile(found[0]))
    return contact_sheet(tiles, columns=columns, footer=footer)


BLOCK_TILE, BLOCK_GAP = 96, 4


def block(found: Sequence[Finished], columns: int) -> Image.Image:
    """Many small pictures as one, all brought to one size, without words between them."""
    step = BLOCK_TILE + BLOCK_GAP
    rows = -(-len(found) // columns)
    page = Image.new("RGB", (columns * step - BLOCK_GAP, rows * step - BLOCK_GAP), "white")
    for i, done in enumerate(found):
        picture = done.picture()
        # A few pixels are shown as they are, not as a blur.
        small = picture.width * 4 <= BLOCK_TILE
        how = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
        place = (i % columns * step, i // columns * step)
        page.paste(picture.resize((BLOCK_TILE, BLOCK_TILE), how), place)
    return page
