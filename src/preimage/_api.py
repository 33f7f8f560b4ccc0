"""The names that `import preimage as pi` offers; the package loads them at first use."""

from __future__ import annotations

from preimage.energy import BoundedRange, Energy, Euclidean, InnerProduct, TotalVariation
from preimage.errors import PreimageError, UsageError
from preimage.recipes import PRESETS, Settings, encode, invert, settings_for, template
from preimage.representations import Representation, representation
from preimage.search import (
    LBFGS,
    Adam,
    Momentum,
    NormalizedMomentum,
    PixelCanvas,
    Result,
    Snapshot,
    SpectralCanvas,
    Stage,
    UniformNoise,
    WindowedAdaGrad,
    minimise,
)

__all__ = [
    "LBFGS",
    "PRESETS",
    "Adam",
    "BoundedRange",
    "Energy",
    "Euclidean",
    "InnerProduct",
    "Momentum",
    "NormalizedMomentum",
    "PixelCanvas",
    "PreimageError",
    "Representation",
    "Result",
    "Settings",
    "Snapshot",
    "SpectralCanvas",
    "Stage",
    "TotalVariation",
    "UniformNoise",
    "UsageError",
    "WindowedAdaGrad",
    "encode",
    "invert",
    "minimise",
    "representation",
    "settings_for",
    "template",
]
