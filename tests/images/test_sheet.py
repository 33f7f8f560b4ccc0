from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from preimage.errors import PreimageError
from preimage.images.sheet import GAP, MARGIN, Tile, _spell, _wrap, contact_sheet

RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)
FONT = ImageFont.load_default(14)


def columns_of(sheet: Image.Image, colour: tuple[int, int, int]) -> list[int]:
    """Where runs of columns with that colour begin."""
    hit = (np.asarray(sheet) == colour).all(2).any(0)
    return np.flatnonzero(hit & ~np.roll(hit, 1)).tolist()


def test_pictures_stand_side_by_side_at_one_height() -> None:
    tall = np.full((300, 150, 3), (0, 0, 255), np.uint8)
    sheet = contact_sheet([Tile(RED), Tile(tall)], tile_height=100)
    pixels = np.asarray(sheet)
    red, blue = (pixels == (255, 0, 0)).all(2), (pixels == (0, 0, 255)).all(2)
    assert red.any(1).sum() == blue.any(1).sum() == 100
    assert red.any(0).sum() == 150
    assert blue.any(0).sum() == 50
    assert sheet.mode == "RGB"
    assert sheet.getpixel((0, 0)) == (255, 255, 255)
    assert columns_of(sheet, (255, 0, 0)) == [MARGIN]
    assert columns_of(sheet, (0, 0, 255)) == [MARGIN + 150 + GAP]


@pytest.mark.parametrize(("count", "columns", "across"), [(5, 3, 3), (3, None, 3), (9, None, 3)])
def test_columns(count: int, columns: int | None, across: int) -> None:
    sheet = contact_sheet([Tile(RED)] * count, columns=columns, tile_height=40)
    assert len(columns_of(sheet, (255, 0, 0))) == across


def test_words_make_the_page_longer_and_are_drawn() -> None:
    bare = contact_sheet([Tile(RED)])
    worded = contact_sheet([Tile(RED, "title", "caption")], title="heading", footer="foot")
    assert worded.height > bare.height + 60
    assert worded.width == bare.width
    assert (np.asarray(worded)[:MARGIN] == 255).all()
    assert (np.asarray(worded)[MARGIN : MARGIN + 30] < 100).any()


def test_grey_and_rgb_and_pil_together() -> None:
    grey = np.full((8, 8), 90, np.uint8)
    tiles = [Tile(grey), Tile(grey[:, :, None]), Tile(Image.new("L", (9, 5))), Tile(RED)]
    assert contact_sheet(tiles, tile_height=32).mode == "RGB"


def test_small_pictures_keep_their_pixels() -> None:
    checks = (np.indices((4, 4)).sum(0) % 2 * 255).astype(np.uint8)
    sheet = contact_sheet([Tile(checks)], tile_height=64)
    inside = np.asarray(sheet)[MARGIN : MARGIN + 64, MARGIN : MARGIN + 64]
    assert set(np.unique(inside)) == {0, 255}


def test_a_panorama_does_not_make_the_page_endless() -> None:
    sheet = contact_sheet([Tile(np.zeros((2, 5000), np.uint8))], tile_height=100)
    assert sheet.width == 400 + 2 * MARGIN


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=60), width=st.integers(20, 200))
def test_lines_fit_and_keep_every_letter(text: str, width: int) -> None:
    spelt = _spell(text)
    lines = _wrap(spelt, FONT, width)
    assert all(FONT.getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(spelt.split())


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("13×13", "13x13"),
        ("‖Φ(x)−Φ₀‖²", "||Phi(x)-Phi0||^2"),
        ("café", "cafe"),
        ("a · 25.0 %", "a · 25.0 %"),
        ("狐", "?"),
    ],
)
def test_letters_the_font_lacks_are_spelt(text: str, spelt: str) -> None:
    assert _spell(text) == spelt


def test_every_letter_that_is_kept_has_a_shape() -> None:
    box = bytes(FONT.getmask("\uffff"))
    for code in [*range(33, 127), *map(ord, "·°±")]:
        assert bytes(FONT.getmask(chr(code))) != box, chr(code)


@settings(deadline=None, max_examples=20)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5),
    columns=st.integers(1, 6),
    words=st.text(max_size=20),
)
def test_any_sizes_and_words(shapes: list[tuple[int, int]], columns: int, words: str) -> None:
    tiles = [Tile(np.zeros(shape, np.uint8), words, words) for shape in shapes]
    sheet = contact_sheet(tiles, columns=columns, title=words, footer=words, tile_height=30)
    edges = np.asarray(sheet)
    assert (edges[-5:] == 255).all()
    assert (edges[:, -5:] == 255).all()


def test_wrong_requests() -> None:
    with pytest.raises(PreimageError, match="at least one tile"):
        contact_sheet([])
    with pytest.raises(PreimageError, match="at least 1"):
        contact_sheet([Tile(RED)], columns=0)
    with pytest.raises(PreimageError, match="uint8"):
        contact_sheet([Tile(np.zeros((4, 4)))])
