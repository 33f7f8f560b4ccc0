"""Spread and diversity of restarts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from preimage.errors import PreimageError
from preimage.metrics import pixel_distance, restart_diversity, restart_spread
from toys import MEAN, random_image


def test_spread_is_the_sample_deviation_of_each_photo():
    errors = random_image((5, 24), scale=0.1)
    expected = np.std(errors.numpy(), axis=1, ddof=1)
    np.testing.assert_allclose(restart_spread(errors).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("count", [2, 5])
def test_diversity_is_the_mean_over_all_pairs(count: int):
    images = random_image((count, 3, 6, 5), scale=20)
    rows = (images.flatten(1) / 255).double().numpy()
    expected = pdist(rows).mean() / np.sqrt(rows.shape[1])
    found = restart_diversity(images, partial(pixel_distance, mean=MEAN))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_same_image_again_has_no_diversity():
    images = random_image((1, 3, 6, 5)).expand(4, -1, -1, -1)
    assert restart_diversity(images, partial(pixel_distance, mean=MEAN)) == 0


def test_one_restart_has_no_spread():
    with pytest.raises(PreimageError, match=r"at least 2 restarts, got shape \[3, 1\]"):
        restart_spread(torch.zeros(3, 1))
    with pytest.raises(PreimageError, match=r"at least 2 restarts, got shape \[1, 3, 4, 4\]"):
        restart_diversity(torch.zeros(1, 3, 4, 4), partial(pixel_distance, mean=MEAN))
