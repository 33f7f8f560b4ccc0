"""What people ask for: each recipe chooses energy, start and stages, and calls the one loop."""

from preimage.recipes.inversion import encode, invert
from preimage.recipes.presets import PRESETS, settings_for
from preimage.recipes.settings import Settings
from preimage.recipes.template import template

__all__ = ["PRESETS", "Settings", "encode", "invert", "settings_for", "template"]
