"""Representations: functions from images to codes."""

from preimage.representations.base import Defaults, Geometry, Representation
from preimage.representations.catalogue import representation
from preimage.representations.network import NetworkLayer

__all__ = ["Defaults", "Geometry", "NetworkLayer", "Representation", "representation"]
