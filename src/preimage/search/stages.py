"""Stages: stretches of iterations with one setting of jitter and step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from preimage.errors import UsageError

DECAYS = ("none", "cosine", "root")

MOST_ITERATIONS = 10_000_000
"""Of one search: about a day of the smallest network, and a trace that fits into memory."""


@dataclass(frozen=True)
class Stage:
    """A stretch of iterations with one setting of jitter and step.

    Attributes:
        iterations: how many.
        jitter: T of Eq. 7: every iteration shifts the view by 0..T-1 pixels; 1 is none.
        rate: factor on the step rule's own rate.
        decay: `none` keeps the rate, `cosine` lowers it to zero over the stage along half a cosine,
            `root` along the square root of what is left.

    Raises:
        UsageError: if a value is out of range.
    """

    iterations: int
    jitter: int = 1
    rate: float = 1.0
    decay: str = "none"

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise UsageError(f"a stage needs at least 1 iteration, got {self.iterations}.")
        _check_most(self.iterations)
        if self.jitter < 1:
            raise UsageError(f"jitter T must be at least 1 (none), got {self.jitter}.")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"a stage's rate must be a positive number, got {self.rate:g}.")
        if self.decay not in DECAYS:
            raise UsageError(f"decay must be one of {', '.join(DECAYS)}, got {self.decay!r}.")

    def rate_at(self, iteration: int) -> float:
        """Factor on the step rule's rate at an iteration of this stage, counted from 0."""
        done = iteration / self.iterations
        if self.decay == "cosine":
            return self.rate * 0.5 * (1 + math.cos(math.pi * done))
        if self.decay == "root":
            return self.rate * math.sqrt(1 - done)
        return self.rate


def _check_most(iterations: int) -> None:
    """Refuse more iterations than `MOST_ITERATIONS`."""
    if iterations > MOST_ITERATIONS:
        raise UsageError(f"iterations must be at most {MOST_ITERATIONS}, got {iterations}.")


def total_iterations(stages: Sequence[Stage]) -> int:
    """Iterations of all stages together."""
    return sum(stage.iterations for stage in stages)


def scale_stages(stages: Sequence[Stage], iterations: int) -> tuple[Stage, ...]:
    """The same stages with their lengths scaled to a total.

    Every stage keeps at least one iteration, so that the canvas keeps its size; where there are
    fewer iterations than stages, only the first ones run.

    Raises:
        UsageError: if the total is no whole number from 1 to `MOST_ITERATIONS`.

    Example:
        >>> [s.iterations for s in scale_stages([Stage(300, jitter=4), Stage(50)], 70)]
        [60, 10]
    """
    if not isinstance(iterations, int) or iterations < 1:
        raise UsageError(f"iterations must be a whole number of at least 1, got {iterations!r}.")
    _check_most(iterations)
    kept = stages[:iterations]
    total = total_iterations(kept)
    ends, scaled, done = 0, [], 0
    for left, stage in zip(range(len(kept) - 1, -1, -1), kept, strict=True):
        ends += stage.iterations
        end = min(max(round(iterations * ends / total), done + 1), iterations - left)
        scaled.append(replace(stage, iterations=end - done))
        done = end
    return tuple(scaled)
