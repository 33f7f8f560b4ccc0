"""preimage: what an image representation keeps and what it throws away."""

from importlib.metadata import version as _version

__version__ = _version("preimage")

from preimage.energy import BoundedRange, Energy, Euclidean, InnerProduct, TotalVariation
from preimage.errors import PreimageError, UsageError
from preimage.recipes import PRESETS, Settings, encode, invert, settings_for
from preimage.representations import Representation, representation
from preimage.search import (
    LBFGS,
    Adam,
    Momentum,
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
]
