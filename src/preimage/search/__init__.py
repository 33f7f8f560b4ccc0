"""Canvases, step rules, stages and the one loop that uses them."""

from preimage.search.canvases import Canvas, PixelCanvas, PyramidCanvas, SpectralCanvas
from preimage.search.lbfgs import LBFGS
from preimage.search.minimise import Outcome, Snapshot, minimise
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.starts import UniformNoise
from preimage.search.step_rules import (
    Adam,
    Momentum,
    NormalizedMomentum,
    StepRule,
    WindowedAdaGrad,
)

__all__ = [
    "LBFGS",
    "Adam",
    "Canvas",
    "Momentum",
    "NormalizedMomentum",
    "Outcome",
    "PixelCanvas",
    "PyramidCanvas",
    "Result",
    "Snapshot",
    "SpectralCanvas",
    "Stage",
    "StepRule",
    "UniformNoise",
    "WindowedAdaGrad",
    "minimise",
]
