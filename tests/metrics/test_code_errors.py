"""Errors in code space."""

from __future__ import annotations

import pytest
import torch

from preimage.errors import PreimageError
from preimage.metrics import relative_error, squared_error
from toys import random_image


@pytest.mark.parametrize("shape", [(3, 7), (3, 4, 2, 5)])
def test_one_is_the_square_of_the_other_and_both_are_per_problem(shape: tuple[int, ...]) -> None:
    code, target = random_image(shape, 0), random_image(shape, 1)
    error = relative_error(code, target)
    assert error.shape == (3,)
    torch.testing.assert_close(error.square(), squared_error(code, target))
    alone = torch.cat([relative_error(code[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(error, alone)


def test_they_are_fractions_of_the_targets_norm() -> None:
    target = random_image((2, 9))
    torch.testing.assert_close(relative_error(1.25 * target, target), torch.tensor([0.25, 0.25]))
    torch.testing.assert_close(squared_error(1.25 * target, target), torch.tensor([0.0625] * 2))
    assert relative_error(target, target).tolist() == [0.0, 0.0]
    torch.testing.assert_close(relative_error(0 * target, target), torch.ones(2))


def test_only_what_the_mask_leaves_counts() -> None:
    target = random_image((2, 4, 3, 3))
    code = target.clone()
    code[:, 2:] += 100
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 4, 1, 1)
    assert relative_error(code, target, mask).tolist() == [0.0, 0.0]
    assert bool((relative_error(code, target, 1 - mask) > 1).all())


@pytest.mark.parametrize("measure", [relative_error, squared_error])
def test_shapes_and_targets_without_meaning_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(PreimageError, match=r"shape \[1, 3\] and its target \[1, 4\]"):
        measure(torch.ones(1, 3), torch.ones(1, 4))
    with pytest.raises(PreimageError, match="zero wherever it counts"):
        measure(torch.ones(1, 3), torch.zeros(1, 3))
