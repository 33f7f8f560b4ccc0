"""Glyphs: the customary picture of a HOG code (Fig. 5).

Each cell becomes a small star of strokes. An orientation's stroke runs across its gradient, along
the edge that has it, and is as bright as the cell's numbers for that orientation add up to, both
directed ones and the undirected one.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image

from preimage.errors import PreimageError

ORIENTATIONS = 9
CHANNELS = 31
GLYPH = 21
"""Side of a glyph in pixels: VLFeat's."""
STROKE = 1.4
"""Width of a stroke, in pixels of a glyph of that side."""


def draw_glyphs(code: np.ndarray, side: int = GLYPH) -> Image.Image:
    """A HOG code as a grey picture of glyphs, white on black.

    weight_k = max(0, c_k + c_{k+9} + c_{k+18}); a pixel shows the strongest sum of the strokes over
    it, no brighter than its cell's brightest stroke; white is the brightest in the picture.

    Args:
        code: `[31, h, w]`, of `hog`, `hogb` or `hog-relu`.
        side: of a glyph, in pixels.

    Returns:
        Mode "L", `w·side` x `h·side`.

    Raises:
        PreimageError: if it is no HOG code, or not finite.

    Example:
        >>> draw_glyphs(np.zeros((31, 4, 6)), side=10).size
        (60, 40)
    """
    if code.ndim != 3 or code.shape[0] != CHANNELS or code.size == 0:
        raise PreimageError(
            f"glyphs show codes of HOG, [31, h, w]; this one is {list(code.shape)}."
        )
    if code.dtype.kind not in "fiu" or not np.isfinite(code).all():
        raise PreimageError("the code holds something else than finite numbers: nothing to draw.")
    _, height, width = code.shape
    parts = code[: 3 * ORIENTATIONS].astype(np.float64).reshape(3, ORIENTATIONS, height, width)
    weights = np.maximum(parts.sum(0), 0)
    cells = np.einsum("khw,kyx->hwyx", weights, strokes(side))
    cells = np.minimum(cells, weights.max(0)[:, :, None, None])
    picture = cells.transpose(0, 2, 1, 3).reshape(height * side, width * side)
    brightest = picture.max()
    scaled = picture * (255 / brightest) if brightest > 0 else picture
    return Image.fromarray(scaled.round().astype(np.uint8))


@lru_cache(maxsize=4)
def strokes(side: int) -> np.ndarray:
    """The nine strokes, `[9, side, side]`, 0 to 1, softened by a pixel at their edges."""
    offset = np.arange(side) - (side - 1) / 2
    half_width = STROKE * side / GLYPH / 2
    found = []
    for k in range(ORIENTATIONS):
        # The gradient points at 20°·k from right to bottom.
        x, y = math.cos(math.pi * k / ORIENTATIONS), math.sin(math.pi * k / ORIENTATIONS)
        across = np.abs(offset[None, :] * x + offset[:, None] * y)
        along = np.abs(offset[:, None] * x - offset[None, :] * y)
        inside = np.minimum(half_width - across, (side - 1) / 2 - along)
        found.append(np.clip(inside + 0.5, 0, 1))
    return np.stack(found)
