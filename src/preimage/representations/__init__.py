"""Representations: functions from images to codes."""

from preimage.representations.base import Defaults, Geometry, Representation
from preimage.representations.catalogue import representation, several_layers
from preimage.representations.dsift import Dsift
from preimage.representations.hog import Hog
from preimage.representations.network import NetworkLayer, SeveralLayers

__all__ = [
    "Defaults",
    "Dsift",
    "Geometry",
    "Hog",
    "NetworkLayer",
    "Representation",
    "SeveralLayers",
    "representation",
    "several_layers",
]
