"""Contact sheets: pictures side by side with words under them, fit to show to a colleague."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from preimage.errors import PreimageError
from preimage.images.photo import as_picture

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAGE = (255, 255, 255)
INK = (28, 30, 33)
SOFT_INK = (101, 106, 114)
FRAME = (222, 225, 229)

MARGIN = 28
GAP = 22
ROW_GAP = 30
TEXT_GAP = 8
BLOCK_GAP = 18
LINE_SPACING = 1.25
# Text needs this share of the tile height as a column, however narrow the picture is.
MIN_CELL = 0.75
# A panorama is made smaller rather than the page endlessly wide.
MAX_ASPECT = 4.0

# Pillow's built-in font has little beyond ASCII; these would come out as empty boxes.
_SPELT = str.maketrans(
    {
        **{"×": "x", "–": "-", "—": "-", "−": "-", "‑": "-", "‖": "||", "→": "->", "←": "<-"},
        **{"≈": "~", "≤": "<=", "≥": ">=", "√": "sqrt", "∞": "inf", "²": "^2", "³": "^3"},
        **{"α": "alpha", "β": "beta", "λ": "lambda", "ρ": "rho", "σ": "sigma", "µ": "u"},
        **{"Φ": "Phi", "φ": "phi", "∑": "sum", "ℓ": "l", "½": "1/2", "ß": "ss", "‰": " permille"},
        **{"“": '"', "”": '"', "‘": "'", "’": "'", "\t": " ", "\u00a0": " "},
    }
)
_ALSO_DRAWN = frozenset("·°±")


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Args:
        image: a PIL image, or uint8 ``[H, W]`` or ``[H, W, 3]``.
        title: a line over the picture.
        caption: smaller words under it; wrapped, line breaks are kept.
    """

    image: Image.Image | np.ndarray
    title: str = ""
    caption: str = ""


def contact_sheet(
    tiles: Sequence[Tile],
    columns: int | None = None,
    title: str = "",
    footer: str = "",
    tile_height: int = 240,
) -> Image.Image:
    """Lays tiles out in a grid on a white page.

    Every picture is scaled to the same height, its proportions kept; those enlarged four times
    or more keep their pixels visible. Letters that the built-in font lacks are spelt in ASCII.

    Args:
        tiles: what to show, in reading order.
        columns: tiles in a row; None: one row of up to four, more in as square a grid as goes.
        title: heading of the page.
        footer: small print at its bottom.
        tile_height: height of every picture in pixels.

    Returns:
        Mode "RGB"; as large as its contents ask for.

    Raises:
        PreimageError: no tiles, a tile that is no picture, or sizes less than 1.

    >>> tile = Tile(np.zeros((8, 8), np.uint8), title="relu3", caption="error 25.0 %")
    >>> contact_sheet([tile, tile], tile_height=100).height > 100
    True
    """
    if not tiles:
        raise PreimageError("expected at least one tile for the contact sheet, got none")
    if tile_height < 1 or (columns is not None and columns < 1):
        raise PreimageError(
            f"expected columns and tile height of at least 1, got {columns} and {tile_height}"
        )
    across = min(columns or _default_columns(len(tiles)), len(tiles))
    pictures = [_scaled(as_picture(tile.image), tile_height) for tile in tiles]
    widths = _column_widths(pictures, across, tile_height)
    cells = [
        _Cell(picture, tile, widths[index % across], tile_height)
        for index, (picture, tile) in enumerate(zip(pictures, tiles, strict=True))
    ]
    rows = [cells[start : start + across] for start in range(0, len(cells), across)]
    inner = sum(widths) + GAP * (across - 1)
    return _page(rows, widths, _Text(title, 24, INK, inner), _Text(footer, 12, SOFT_INK, inner))


class _Text:
    """Words broken into lines of a width, ready to be drawn."""

    def __init__(self, text: str, size: int, ink: tuple[int, int, int], width: int) -> None:
        self.font = ImageFont.load_default(size)
        self.ink = ink
        self.line_height = round(size * LINE_SPACING)
        self.lines = _wrap(_spell(text), self.font, width)
        self.height = len(self.lines) * self.line_height

    def draw(self, canvas: ImageDraw.ImageDraw, x: int, y: int) -> None:
        for line in self.lines:
            canvas.text((x, y), line, font=self.font, fill=self.ink)
            y += self.line_height


class _Cell:
    """A picture with its texts."""

    def __init__(self, picture: Image.Image, tile: Tile, width: int, height: int) -> None:
        self.picture = picture
        self.picture_height = height
        self.title = _Text(tile.title, 17, INK, width)
        self.caption = _Text(tile.caption, 14, SOFT_INK, width)

    def draw(self, page: Image.Image, x: int, y: int, title_height: int) -> None:
        canvas = ImageDraw.Draw(page)
        # Titles of a row stand on a common line, just over their pictures.
        self.title.draw(canvas, x, y + title_height - self.title.height)
        top = y + _with_gap(title_height)
        page.paste(self.picture, (x, top))
        right, bottom = x + self.picture.width, top + self.picture.height
        canvas.rectangle((x - 1, top - 1, right, bottom), outline=FRAME)
        self.caption.draw(canvas, x, top + self.picture_height + TEXT_GAP)


def _page(rows: list[list[_Cell]], widths: list[int], title: _Text, footer: _Text) -> Image.Image:
    head = title.height + BLOCK_GAP if title.lines else 0
    foot = footer.height + BLOCK_GAP if footer.lines else 0
    heights = [_row_height(row) for row in rows]
    width = 2 * MARGIN + sum(widths) + GAP * (len(widths) - 1)
    height = 2 * MARGIN + head + sum(heights) + ROW_GAP * (len(rows) - 1) + foot
    page = Image.new("RGB", (width, height), PAGE)
    canvas = ImageDraw.Draw(page)
    title.draw(canvas, MARGIN, MARGIN)
    y = MARGIN + head
    for row, row_height in zip(rows, heights, strict=True):
        x, title_height = MARGIN, max(cell.title.height for cell in row)
        for cell, column in zip(row, widths, strict=False):  # the last row may be short
            cell.draw(page, x, y, title_height)
            x += column + GAP
        y += row_height + ROW_GAP
    footer.draw(canvas, MARGIN, height - MARGIN - footer.height)
    return page


def _row_height(row: list[_Cell]) -> int:
    titles = max(cell.title.height for cell in row)
    captions = max(cell.caption.height for cell in row)
    return _with_gap(titles) + row[0].picture_height + _with_gap(captions)


def _with_gap(text_height: int) -> int:
    return text_height + TEXT_GAP if text_height else 0


def _default_columns(count: int) -> int:
    return count if count <= 4 else int(np.ceil(np.sqrt(count)))


def _column_widths(pictures: list[Image.Image], across: int, height: int) -> list[int]:
    narrowest = round(MIN_CELL * height)
    return [
        max(narrowest, *(picture.width for picture in pictures[column::across]), 1)
        for column in range(across)
    ]


def _scaled(picture: Image.Image, height: int) -> Image.Image:
    factor = height / picture.height
    factor = min(factor, MAX_ASPECT * height / picture.width)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    rgb = picture.convert("RGB")
    if factor >= 4:
        return rgb.resize(size, Image.Resampling.NEAREST)
    return rgb.resize(size, Image.Resampling.LANCZOS)


def _spell(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_SPELT))
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if c == "\n" or " " <= c <= "~" or c in _ALSO_DRAWN else "?" for c in kept)


def _wrap(text: str, font: Font, width: int) -> list[str]:
    if not text.strip():
        return []
    return [line for paragraph in text.splitlines() for line in _wrap_line(paragraph, font, width)]


def _wrap_line(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        pieces = _break_word(word, font, width)
        lines = [*lines, *pieces] if lines[-1] else pieces
    return lines


def _break_word(word: str, font: Font, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
