"""Canvases: what is searched, and how it renders the image.

A canvas is a frozen description with pure methods. `start` makes parameters, `parameters_of` makes
those of a given image, `render` makes the image on the canvas scale, `pull_back` carries a gradient
of the image back to the parameters (the adjoint of `render`'s derivative, in closed form), and
`constrain_` applies a projection after each step. Energies always speak about the rendered image.
"""

from preimage.search.canvases.canvas import Canvas
from preimage.search.canvases.frames import FrameCanvas
from preimage.search.canvases.pixels import BlurredCanvas, BoxCanvas, PixelCanvas
from preimage.search.canvases.pyramids import PyramidCanvas
from preimage.search.canvases.spectra import PhaseCanvas, SpectralCanvas

__all__ = [
    "BlurredCanvas",
    "BoxCanvas",
    "Canvas",
    "FrameCanvas",
    "PhaseCanvas",
    "PixelCanvas",
    "PyramidCanvas",
    "SpectralCanvas",
]
