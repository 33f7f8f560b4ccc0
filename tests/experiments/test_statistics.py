from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from preimage.errors import PreimageError
from preimage.experiments.statistics import estimate


def test_against_scipy_and_a_table_of_t():
    values = np.random.default_rng(0).normal(3, 2, 100)
    found = estimate(values.tolist())
    interval = stats.bootstrap((values,), np.mean, rng=0).confidence_interval
    low, high = stats.t.interval(0.95, 99, values.mean(), stats.sem(values))
    assert found.count == 100
    np.testing.assert_allclose(found.mean, values.mean())
    np.testing.assert_allclose([found.mean - found.interval, found.mean + found.interval],
                               [low, high])  # fmt: skip
    np.testing.assert_allclose([low, high], interval, atol=0.1)
    # t(0.975, 1) = 12.706 by any table; the two values are 1 from their mean.
    np.testing.assert_allclose(estimate([0, 2]).interval, 12.7062, rtol=1e-5)


def test_one_value_has_no_interval_and_equal_ones_have_none_to_speak_of():
    assert estimate([0.25]).interval is None
    assert estimate([0.5, 0.5, 0.5]).interval == 0


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_nothing_to_average(values):
    with pytest.raises(PreimageError, match="finite numbers"):
        estimate(values)
