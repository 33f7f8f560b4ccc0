"""How far a fraction of few answers can be trusted."""

from __future__ import annotations

import math

from preimage.errors import PreimageError

Z95 = 1.959963984540054
"""Normal quantile of 97.5 %: 95 % lie within it on both sides."""

Interval = tuple[float, float]


def wilson_interval(successes: int, trials: int) -> Interval:
    """95 % interval of a fraction k/n of yes and no, by Wilson's score.

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), p = k/n, z = 1.96

    Unlike p ± z √(p(1 − p)/n), it never leaves 0...1 and does not shrink to nothing at 0 and 1.

    Raises:
        PreimageError: if there are no trials, or not 0 ≤ k ≤ n.

    Source: Wilson, *Probable inference, the law of succession, and statistical inference*, 1927.

    Example:
        >>> [round(end, 3) for end in wilson_interval(8, 10)]
        [0.49, 0.943]
    """
    if not 0 <= successes <= trials or trials == 0:
        raise PreimageError(f"expected 0 <= k <= n and n > 0, got k = {successes}, n = {trials}")
    p, z2 = successes / trials, Z95**2
    centre = p + z2 / (2 * trials)
    half = Z95 * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    # At k = 0 and k = n an end is 0 or 1 but for rounding.
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
