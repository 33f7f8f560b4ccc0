"""Losses, priors and the energy they make (Eq. 1)."""

from preimage.energy.diversity import Apart
from preimage.energy.energy import Energy
from preimage.energy.losses import Amplification, Euclidean, Gram, InnerProduct, Loss, Together
from preimage.energy.priors import BoundedRange, Distance, Prior, TotalVariation

__all__ = [
    "Amplification",
    "Apart",
    "BoundedRange",
    "Distance",
    "Energy",
    "Euclidean",
    "Gram",
    "InnerProduct",
    "Loss",
    "Prior",
    "Together",
    "TotalVariation",
]
