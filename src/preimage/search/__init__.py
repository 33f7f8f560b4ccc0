"""Canvases, step rules, stages and the one loop that uses them."""

from preimage.search.canvases import BoxCanvas, Canvas, PixelCanvas, SpectralCanvas
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
    "BoxCanvas",
    "Canvas",
    "Momentum",
    "NormalizedMomentum",
    "Outcome",
    "PixelCanvas",
    "Result",
    "Snapshot",
    "SpectralCanvas",
    "Stage",
    "StepRule",
    "UniformNoise",
    "WindowedAdaGrad",
    "minimise",
]
