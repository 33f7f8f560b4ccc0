"""Means and their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from preimage.errors import PreimageError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with what is known of its accuracy.

    Attributes:
        mean: of the values.
        interval: half the width of the 95 % confidence interval of the mean, what a paper prints
            behind ±; None for a single value.
        count: how many values there were.
    """

    mean: float
    interval: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % confidence interval of the mean, by Student's t.

    mean ± t(0.975, n−1)·s/√n, s the sample's standard deviation.

    Args:
        values: n numbers, independent of each other.

    Raises:
        PreimageError: if there are none, or one is not finite.

    Example:
        >>> estimate([1.0, 2.0, 3.0])
        Estimate(mean=2.0, interval=2.4841377118445867, count=3)
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise PreimageError(f"expected one or more finite numbers to average, got {numbers.size}.")
    count, mean = numbers.size, float(numbers.mean())
    if count == 1:
        return Estimate(mean, None, 1)
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Estimate(mean, t * float(numbers.std(ddof=1)) / math.sqrt(count), count)
