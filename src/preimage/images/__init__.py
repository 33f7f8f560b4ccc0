"""Photos in and out, the canvas scale, contact sheets."""

from preimage.images.photo import as_picture, has_colour, load_photo, save_png, sha256_of_file
from preimage.images.scale import squared_length, stretch, to_canvas, to_colours, to_pixels
from preimage.images.sheet import Tile, contact_sheet

__all__ = [
    "Tile",
    "as_picture",
    "contact_sheet",
    "has_colour",
    "load_photo",
    "save_png",
    "sha256_of_file",
    "squared_length",
    "stretch",
    "to_canvas",
    "to_colours",
    "to_pixels",
]
