"""Intervals against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from preimage.errors import PreimageError
from preimage.metrics import mean_interval, wilson_interval


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 25), (500, 999)])
def test_wilson(k: int, n: int):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(k, n)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


@pytest.mark.parametrize("n", [2, 100])
def test_mean(n: int):
    values = np.random.default_rng(0).normal(0.2, 0.05, n)
    expected = stats.norm.interval(0.95, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values.tolist()) == pytest.approx(expected, rel=1e-9)


def test_what_has_no_interval():
    for k, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(PreimageError, match=f"got k = {k}, n = {n}"):
            wilson_interval(k, n)
    with pytest.raises(PreimageError, match="at least 2 values for an interval, got 1"):
        mean_interval([0.3])
