"""Pictures of cases on one page, as the paper's figures show them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from preimage.experiments.cases import Finished
from preimage.experiments.tables import percent
from preimage.images import Tile, contact_sheet


def tile(done: Finished, title: str) -> Tile:
    """A pre-image with its error under it."""
    return Tile(done.picture(), title, f"relative error {percent(done.relative_error)}")


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
