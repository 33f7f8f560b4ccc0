"""How soft the derivatives of Φ are, from the first iteration to the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from preimage.errors import UsageError
from preimage.representations.softening import HARD, Softness


@dataclass(frozen=True)
class Softening:
    """Derivatives that are soft at first and sharpen geometrically to Φ's own.

    At the fraction t of a search the softness is first·(last/first)^(t/until), from `until` on 0:
    graduated non-convexity, of the derivatives alone. See `representations.softening` for what it
    means and why.

    Attributes:
        relu: first and last softness of ReLU.
        pooling: first and last softness of max pooling.
        until: the fraction of all iterations that are softened.

    Raises:
        UsageError: if a softness is not a positive number, or the fraction not between 0 and 1.

    Example:
        >>> half = Softening(relu=(1.0, 0.25), pooling=(4.0, 1.0), until=0.8).at(0.4)
        >>> half.relu, half.pooling
        (0.5, 2.0)
    """

    relu: tuple[float, float] = (2.0, 0.03)
    pooling: tuple[float, float] = (10.0, 0.03)
    until: float = 0.9

    def __post_init__(self) -> None:
        for name, ends in (("relu", self.relu), ("pooling", self.pooling)):
            if not (isinstance(ends, Sequence) and len(ends) == 2 and all(map(_positive, ends))):
                raise UsageError(
                    f"the softness of {name} must be two positive numbers, its first and its last "
                    f"one, got {ends!r}."
                )
        if not (_positive(self.until) and self.until <= 1):
            raise UsageError(f"until must be a fraction above 0 and at most 1, got {self.until!r}.")

    def at(self, fraction: float) -> Softness:
        """The softness at a fraction of the search."""
        if fraction >= self.until:
            return HARD
        part = fraction / self.until
        relu, pooling = (
            first * (last / first) ** part for first, last in (self.relu, self.pooling)
        )
        return Softness(relu, pooling)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
