"""What every loss promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preimage.energy import Euclidean, InnerProduct, Loss
from preimage.errors import PreimageError
from toys import random_image

MASK_SHAPE = (1, 4, 1, 1)


def half_of_the_channels(target: Tensor) -> Tensor:
    mask = torch.zeros(1, *target.shape[1:])
    mask[:, ::2] = 1
    return mask


LOSSES: dict[str, tuple[type[Loss], Callable[[Tensor], Loss]]] = {
    "euclidean": (Euclidean, Euclidean),
    "euclidean, masked": (Euclidean, lambda t: Euclidean(t, half_of_the_channels(t))),
    "inner product": (InnerProduct, InnerProduct),
    "inner product, Z": (InnerProduct, lambda t: InnerProduct(t, 7.0)),
    "inner product, Z each": (InnerProduct, lambda t: InnerProduct(t, 1.0 + torch.arange(len(t)))),
}
"""Every loss there is, in every form it is made in."""

every_loss = pytest.mark.parametrize("make", [make for _, make in LOSSES.values()], ids=LOSSES)

code_shapes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)


def codes(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """A target and a code, in float64."""
    target = random_image(shape, seed, scale=2.0, dtype=torch.float64)
    return target, random_image(shape, seed + 1, scale=2.0, dtype=torch.float64)


def test_every_loss_is_listed_here() -> None:
    ours = {kind for kind in Loss.__subclasses__() if kind.__module__ == Loss.__module__}
    assert {kind for kind, _ in LOSSES.values()} == ours


@every_loss
@given(shape=code_shapes, seed=st.integers(0, 1000))
def test_gradient_is_the_slope_of_the_value(
    make: Callable[[Tensor], Loss], shape: tuple[int, ...], seed: int
) -> None:
    target, code = codes(shape, seed)
    loss = make(target)
    value, gradient = loss.value_and_gradient(code)
    assert value.shape == shape[:1]
    assert gradient.shape == code.shape
    along = random_image(shape, seed + 2, scale=1.0, dtype=torch.float64)
    h = 1e-5
    slope = (loss.value(code + h * along) - loss.value(code - h * along)) / (2 * h)
    promised = (gradient * along).flatten(1).sum(1)
    torch.testing.assert_close(promised, slope, rtol=1e-5, atol=1e-6)


@every_loss
@given(shape=code_shapes)
def test_value_alone_is_the_same_value(
    make: Callable[[Tensor], Loss], shape: tuple[int, ...]
) -> None:
    target, code = codes(shape)
    torch.testing.assert_close(make(target).value(code), make(target).value_and_gradient(code)[0])


@every_loss
def test_problems_of_a_batch_do_not_mix(make: Callable[[Tensor], Loss]) -> None:
    target, code = codes((3, 4, 2, 2))
    changed = target.clone()
    changed[1:] *= 3
    whole, other = make(target).value_and_gradient(code), make(changed).value_and_gradient(code)
    for a, b in zip(whole, other, strict=True):
        torch.testing.assert_close(a[0], b[0])
        assert not torch.allclose(a[1:], b[1:])


@every_loss
def test_neither_code_nor_target_is_changed_and_no_graph_is_kept(
    make: Callable[[Tensor], Loss],
) -> None:
    target, code = codes((2, 4, 3, 3))
    before = target.clone(), code.clone()
    loss = make(target.requires_grad_())
    value, gradient = loss.value_and_gradient(code)
    gradient.mul_(1000)  # the energy scales it in place
    again, _ = loss.value_and_gradient(code)
    assert torch.equal(value, again)
    assert torch.equal(target, before[0])
    assert torch.equal(code, before[1])
    assert not value.requires_grad


@every_loss
def test_a_code_of_another_shape_is_refused(make: Callable[[Tensor], Loss]) -> None:
    loss = make(codes((2, 4, 3, 3))[0])
    with pytest.raises(PreimageError, match=r"shape \[2, 4, 3, 1\] and its target \[2, 4, 3, 3\]"):
        loss.value(torch.zeros(2, 4, 3, 1, dtype=torch.float64))


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_euclidean_is_relative_to_the_targets_size(factor: float) -> None:
    target, code = codes((2, 4, 3, 3))
    torch.testing.assert_close(
        Euclidean(factor * target).value(factor * code), Euclidean(target).value(code)
    )


def test_euclidean_is_zero_at_the_target_and_one_at_the_zero_code() -> None:
    target, _ = codes((2, 4, 3, 3))
    value, gradient = Euclidean(target).value_and_gradient(target)
    assert not value.any()
    assert not gradient.any()
    torch.testing.assert_close(Euclidean(target).value(0 * target), torch.ones(2).double())


def test_euclidean_with_a_mask_sees_only_what_counts() -> None:
    target, code = codes((2, 4, 3, 3))
    mask = half_of_the_channels(target)
    masked = Euclidean(target, mask)
    value, gradient = masked.value_and_gradient(code)
    assert not gradient[:, 1::2].any()
    torch.testing.assert_close(value, Euclidean(target[:, ::2]).value(code[:, ::2]))
    elsewhere = code + 50 * (1 - mask)
    torch.testing.assert_close(masked.value(elsewhere), value)


def test_euclidean_broadcasts_a_mask_of_channels() -> None:
    target, code = codes((2, 4, 3, 3))
    mask = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(MASK_SHAPE)
    torch.testing.assert_close(
        Euclidean(target, mask).value(code),
        Euclidean(target, mask.expand_as(target)).value(code),
    )


def test_inner_product_is_linear_in_the_code() -> None:
    target, code = codes((2, 4, 3, 3))
    loss = InnerProduct(target, 3.0)
    torch.testing.assert_close(loss.value(5 * code), 5 * loss.value(code))
    torch.testing.assert_close(loss.value(code), -(code * target).flatten(1).sum(1) / 3)


@pytest.mark.parametrize(
    ("target", "mask", "words"),
    [
        (torch.zeros(1, 4), None, "zero wherever it counts"),
        (torch.tensor([[1.0, 2.0], [0.0, 0.0]]), None, "zero wherever it counts"),
        (torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]]), "zero wherever it counts"),
        (torch.tensor([[1.0, float("nan")]]), None, "NaN or infinite"),
        (torch.tensor([[1.0, float("inf")]]), None, "NaN or infinite"),
    ],
)
def test_euclidean_refuses_targets_that_nothing_can_be_relative_to(
    target: Tensor, mask: Tensor | None, words: str
) -> None:
    with pytest.raises(PreimageError, match=words):
        Euclidean(target, mask)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), torch.tensor([1.0, 0.0])])
def test_inner_product_refuses_a_normalization_that_is_not_positive(bad: float | Tensor) -> None:
    with pytest.raises(PreimageError, match=r"Z of Eq\. 4 must be a positive number"):
        InnerProduct(torch.ones(2, 3), bad)
