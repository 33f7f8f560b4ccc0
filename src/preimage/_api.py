"""The names that `import preimage as pi` offers; the package loads them at first use."""

from __future__ import annotations

from preimage.energy import (
    BoundedRange,
    Energy,
    Euclidean,
    Gram,
    InnerProduct,
    Together,
    TotalVariation,
)
from preimage.errors import PreimageError, UsageError
from preimage.recipes import (
    PRESETS,
    Settings,
    caricature,
    encode,
    invert,
    settings_for,
    style,
    texture,
)
from preimage.representations import (
    Representation,
    SeveralLayers,
    representation,
    several_layers,
)
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
    "Gram",
    "InnerProduct",
    "Momentum",
    "NormalizedMomentum",
    "PixelCanvas",
    "PreimageError",
    "Representation",
    "Result",
    "Settings",
    "SeveralLayers",
    "Snapshot",
    "SpectralCanvas",
    "Stage",
    "Together",
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
    "several_layers",
    "style",
    "texture",
]
