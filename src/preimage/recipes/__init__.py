"""What people ask for: each recipe chooses energy, start and stages, and calls the one loop."""

from preimage.recipes.caricature import caricature
from preimage.recipes.dreaming import Octaves, dream
from preimage.recipes.fooling import fool
from preimage.recipes.inversion import encode, invert
from preimage.recipes.presets import PRESETS, settings_for
from preimage.recipes.settings import Settings
from preimage.recipes.texture import style, texture

__all__ = [
    "PRESETS",
    "Octaves",
    "Settings",
    "caricature",
    "dream",
    "encode",
    "fool",
    "invert",
    "settings_for",
    "style",
    "texture",
]
