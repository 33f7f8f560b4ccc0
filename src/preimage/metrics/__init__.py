"""How good a pre-image is: measures that no search ever minimises."""

from preimage.metrics.classes import ClassScore, class_consistency, top_classes
from preimage.metrics.errors import relative_error, squared_error
from preimage.metrics.intervals import wilson_interval
from preimage.metrics.naturalness import gradient_similarity
from preimage.metrics.restarts import restart_diversity, restart_spread
from preimage.metrics.similarity import ms_ssim, pixel_distance, psnr, ssim

__all__ = [
    "ClassScore",
    "class_consistency",
    "gradient_similarity",
    "ms_ssim",
    "pixel_distance",
    "psnr",
    "relative_error",
    "restart_diversity",
    "restart_spread",
    "squared_error",
    "ssim",
    "top_classes",
    "wilson_interval",
]
