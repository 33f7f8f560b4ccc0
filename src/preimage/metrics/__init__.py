"""How good a pre-image is: measures that no search ever minimises."""

from preimage.metrics.classes import ClassScore, top_classes
from preimage.metrics.errors import relative_error, squared_error

__all__ = ["ClassScore", "relative_error", "squared_error", "top_classes"]
