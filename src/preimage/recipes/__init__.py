"""What people ask for: each recipe chooses energy, start and stages, and calls the one loop."""

from preimage.recipes.caricature import caricature
from preimage.recipes.dreaming import Octaves, dream
from preimage.recipes.fooling import fool
from preimage.recipes.inversion import encode, invert
from preimage.recipes.maximization import maximize
from preimage.recipes.maximization_presets import (
    MAXIMIZATION_PRESETS,
    maximization_settings_for,
)
from preimage.recipes.objectives import Channel, Direction, Label, Objective
from preimage.recipes.presets import PRESETS, settings_for
from preimage.recipes.settings import MaximizationSettings, Settings
from preimage.recipes.template import template
from preimage.recipes.texture import style, texture

__all__ = [
    "MAXIMIZATION_PRESETS",
    "PRESETS",
    "Channel",
    "Direction",
    "Label",
    "MaximizationSettings",
    "Objective",
    "Octaves",
    "Settings",
    "caricature",
    "dream",
    "encode",
    "fool",
    "invert",
    "maximization_settings_for",
    "maximize",
    "settings_for",
    "style",
    "template",
    "texture",
]
