"""The names that `import preimage as pi` offers; the package loads them at first use."""

from __future__ import annotations

from preimage.energy import BoundedRange, Energy, Euclidean, InnerProduct, TotalVariation
from preimage.errors import PreimageError, UsageError
from preimage.recipes import PRESETS, Settings, caricature, encode, invert, settings_for
from preimage.representations import Representation, representation
from preimage.search import (
    LBFGS,
    Adam,
    BoxCanvas,
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
    "BoxCanvas",
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
    "caricature",
    "encode",
    "invert",
    "minimise",
    "representation",
    "settings_for",
]
