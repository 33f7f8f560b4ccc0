"""Losses, priors and the energy they make (Eq. 1)."""

from preimage.energy.diversity import Apart
from preimage.energy.energy import Energy
from preimage.energy.losses import Euclidean, InnerProduct, Loss
from preimage.energy.priors import BoundedRange, Prior, TotalVariation

__all__ = [
    "Apart",
    "BoundedRange",
    "Energy",
    "Euclidean",
    "InnerProduct",
    "Loss",
    "Prior",
    "TotalVariation",
]
