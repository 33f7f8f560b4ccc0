"""Canvases, step rules, stages and the one loop that uses them."""

from preimage.search.canvases import (
    BlurredCanvas,
    BoxCanvas,
    Canvas,
    FrameCanvas,
    PhaseCanvas,
    PixelCanvas,
    PyramidCanvas,
    SpectralCanvas,
)
from preimage.search.lbfgs import LBFGS
from preimage.search.minimise import Outcome, Snapshot, minimise
from preimage.search.result import Result
from preimage.search.softening import Softening
from preimage.search.stages import Stage
from preimage.search.starts import UniformNoise
from preimage.search.step_rules import (
    Adam,
    Momentum,
    NAdam,
    NormalizedMomentum,
    StepRule,
    WindowedAdaGrad,
)
from preimage.search.views import RandomViews

__all__ = [
    "LBFGS",
    "Adam",
    "BlurredCanvas",
    "BoxCanvas",
    "Canvas",
    "FrameCanvas",
    "Momentum",
    "NAdam",
    "NormalizedMomentum",
    "Outcome",
    "PhaseCanvas",
    "PixelCanvas",
    "PyramidCanvas",
    "RandomViews",
    "Result",
    "Snapshot",
    "Softening",
    "SpectralCanvas",
    "Stage",
    "StepRule",
    "UniformNoise",
    "WindowedAdaGrad",
    "minimise",
]
