"""What every loss promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preimage.energy import Amplification, Euclidean, Gram, InnerProduct, Loss, Together
from preimage.errors import PreimageError
from toys import random_image

MASK_SHAPE = (1, 4, 1, 1)


def half_of_the_channels(target: Tensor) -> Tensor:
    mask = torch.zeros(1, *target.shape[1:])
    mask[:, ::2] = 1
    return mask


def some_channels_more(target: Tensor) -> Tensor:
    return 3.0 - half_of_the_channels(target) * 2.5


def halves(target: Tensor) -> Loss:
    """Two losses on the first and the second half of a code's components, one weighted more."""
    flat = target.flatten(1)
    first = (flat.shape[1] + 1) // 2
    parts = [Euclidean(flat[:, :first]), InnerProduct(flat[:, first:])]
    return Together(parts, [(first,), (flat.shape[1] - first,)], [1.0, 3.0])


LOSSES: dict[str, tuple[type[Loss], Callable[[Tensor], Loss]]] = {
    "euclidean": (Euclidean, Euclidean),
    "euclidean, masked": (Euclidean, lambda t: Euclidean(t, half_of_the_channels(t))),
    "euclidean, weighted": (Euclidean, lambda t: Euclidean(t, some_channels_more(t))),
    "inner product": (InnerProduct, InnerProduct),
    "inner product, Z": (InnerProduct, lambda t: InnerProduct(t, 7.0)),
    "inner product, Z each": (InnerProduct, lambda t: InnerProduct(t, 1.0 + torch.arange(len(t)))),
    "amplification": (Amplification, Amplification),
    "gram": (Gram, Gram),
    "together, one": (Together, lambda t: Together([Gram(t)], [t.shape[1:]], [2.0])),
    "together, two": (Together, halves),
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
    with pytest.raises(PreimageError, match=r"shape \[2, 5, 3, 3\] and its target \[2, "):
        loss.value(torch.zeros(2, 5, 3, 3, dtype=torch.float64))


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


def test_gram_asks_what_there_is_and_not_where() -> None:
    target, code = codes((2, 4, 3, 3))
    loss = Gram(target)
    torch.testing.assert_close(loss.value(target.flip(-1)), torch.zeros(2).double())
    torch.testing.assert_close(loss.value(code.flip(-2)), loss.value(code))
    torch.testing.assert_close(loss.value(0 * target), torch.ones(2).double())


def test_gram_compares_codes_of_different_sizes() -> None:
    target, _ = codes((2, 4, 3, 3))
    value, gradient = Gram(target).value_and_gradient(target.repeat(1, 1, 2, 5))
    torch.testing.assert_close(value, torch.zeros(2).double())
    assert gradient.shape == (2, 4, 6, 15)


@pytest.mark.parametrize("bad", [torch.zeros(1, 4, 2, 2), torch.full((1, 4, 2, 2), float("nan"))])
@pytest.mark.parametrize("kind", [Gram, Amplification])
def test_targets_that_nothing_can_be_relative_to(kind: Callable[[Tensor], Loss], bad: Tensor):
    with pytest.raises(PreimageError, match=r"the target code (is zero|holds NaN)"):
        kind(bad)


def test_together_adds_the_weighted_losses_of_its_parts() -> None:
    first, second = random_image((2, 4, 3, 3), 1), random_image((2, 5), 2)
    loss = Together([Gram(first), Euclidean(second)], [(4, 2, 2), (5,)], [0.5, 4.0])
    one, two = random_image((2, 4, 2, 2), 3), random_image((2, 5), 4)
    code = torch.cat([one.flatten(1), two], dim=1)
    values = Gram(first).value(one), Euclidean(second).value(two)
    torch.testing.assert_close(loss.value(code), 0.5 * values[0] + 4 * values[1])
    torch.testing.assert_close(loss.values(code), torch.stack(values, dim=1))


@pytest.mark.parametrize(
    ("shapes", "weights", "words"),
    [
        ([(4,), (1,)], None, "expected a shape and a weight for each"),
        ([(4,)], [1.0, 2.0], "expected a shape and a weight for each"),
        ([(4,)], [-1.0], "weights must be numbers of at least 0"),
        ([(4,)], [float("nan")], "weights must be numbers of at least 0"),
    ],
)
def test_together_refuses_what_does_not_go_together(shapes, weights, words) -> None:
    with pytest.raises(PreimageError, match=words):
        Together([Euclidean(torch.ones(1, 4))], shapes, weights)


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
