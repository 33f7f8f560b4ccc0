"""Intervals against SciPy's."""

from __future__ import annotations

import pytest
from scipy import stats

from preimage.errors import PreimageError
from preimage.metrics import wilson_interval


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 25), (500, 999)])
def test_wilson(k: int, n: int):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(k, n)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


def test_what_has_no_interval():
    for k, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(PreimageError, match=f"got k = {k}, n = {n}"):
            wilson_interval(k, n)
