"""Losses and priors against plain NumPy transcriptions of the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from preimage.energy import BoundedRange, Euclidean, InnerProduct, TotalVariation
from preimage.metrics import relative_error, squared_error
from toys import random_image

Array = NDArray[np.float64]

shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
exponents = st.sampled_from([1.0, 1.5, 2.0, 3.0])


def equation_2(code: Array, target: Array) -> float:
    """‖Φ(x) − Φ₀‖² / ‖Φ₀‖²."""
    return float(((code - target) ** 2).sum() / (target**2).sum())


def equation_3(code: Array, target: Array, mask: Array) -> float:
    """‖(Φ(x) − Φ₀) ⊙ M‖² / ‖Φ₀ ⊙ M‖²."""
    return float((((code - target) * mask) ** 2).sum() / ((target * mask) ** 2).sum())


def equation_4(code: Array, target: Array, z: float) -> float:
    """−⟨Φ(x), Φ₀⟩ / Z."""
    return float(-(code * target).sum() / z)


def equation_5(x: Array, alpha: float, b: float) -> float:
    """1/(H·W·B^α) Σ_v Σ_u (Σ_k x(v,u,k)²)^(α/2); x is [k, v, u]."""
    channels, height, width = x.shape
    total = 0.0
    for v in range(height):
        for u in range(width):
            total += sum(x[k, v, u] ** 2 for k in range(channels)) ** (alpha / 2)
    return total / (height * width * b**alpha)


def total_variation(x: Array, beta: float, scale: float) -> float:
    """1/(H·W·V^β) Σ ((x(v,u+1,k) − x(v,u,k))² + (x(v+1,u,k) − x(v,u,k))²)^(β/2).

    The border is replicated: what lies past it is what lies at it.
    """
    channels, height, width = x.shape
    total = 0.0
    for k in range(channels):
        for v in range(height):
            for u in range(width):
                across = x[k, v, min(u + 1, width - 1)] - x[k, v, u]
                down = x[k, min(v + 1, height - 1), u] - x[k, v, u]
                total += (across**2 + down**2) ** (beta / 2)
    return total / (height * width * scale**beta)


def authors_tv_gradient(x: Array, beta: float, scale: float) -> Array:
    """The gradient of the authors' program, with its floor.

    v = (d₁² + d₂²)^(β/2),  w = max(v, 1e-6)^(1 − 2/β),  gradient = β·∇ᵀ(w·d)
    """
    d1 = np.diff(x, axis=2, append=x[:, :, -1:])
    d2 = np.diff(x, axis=1, append=x[:, -1:, :])
    v = (d1**2 + d2**2) ** (beta / 2)
    w = np.maximum(v, 1e-6) ** (1 - 2 / beta)
    gradient = np.zeros_like(x)
    gradient -= w * d1
    gradient[:, :, 1:] += (w * d1)[:, :, :-1]
    gradient -= w * d2
    gradient[:, 1:, :] += (w * d2)[:, :-1, :]
    return beta * gradient / (x.shape[1] * x.shape[2] * scale**beta)


def pair(shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    return (
        random_image(shape, seed, scale=1.0, dtype=torch.float64),
        random_image(shape, seed + 1, scale=1.0, dtype=torch.float64),
    )


@given(shape=shapes, seed=st.integers(0, 1000))
def test_euclidean_is_equation_2(shape: tuple[int, ...], seed: int) -> None:
    code, target = pair(shape, seed)
    expected = [equation_2(c, t) for c, t in zip(code.numpy(), target.numpy(), strict=True)]
    np.testing.assert_allclose(Euclidean(target).value(code), expected, rtol=1e-10)
    np.testing.assert_allclose(squared_error(code, target), expected, rtol=1e-10)
    np.testing.assert_allclose(relative_error(code, target), np.sqrt(expected), rtol=1e-10)


@given(shape=shapes, seed=st.integers(0, 1000))
def test_masked_euclidean_is_equation_3(shape: tuple[int, ...], seed: int) -> None:
    code, target = pair(shape, seed)
    mask = (random_image(shape, seed + 2) > 0).double()
    mask[..., :1, :1] = 1  # something must count
    expected = [
        equation_3(c, t, m)
        for c, t, m in zip(code.numpy(), target.numpy(), mask.numpy(), strict=True)
    ]
    np.testing.assert_allclose(Euclidean(target, mask).value(code), expected, rtol=1e-10)
    np.testing.assert_allclose(squared_error(code, target, mask), expected, rtol=1e-10)
    np.testing.assert_allclose(relative_error(code, target, mask), np.sqrt(expected), rtol=1e-10)


@given(shape=shapes, seed=st.integers(0, 1000), z=st.floats(0.1, 1e6))
def test_inner_product_is_equation_4(shape: tuple[int, ...], seed: int, z: float) -> None:
    code, target = pair(shape, seed)
    expected = [equation_4(c, t, z) for c, t in zip(code.numpy(), target.numpy(), strict=True)]
    np.testing.assert_allclose(
        InnerProduct(target, z).value(code), expected, rtol=1e-9, atol=1e-12 / z
    )


@given(shape=shapes, seed=st.integers(0, 1000), alpha=st.floats(2, 8), b=st.floats(20, 160))
def test_bounded_range_is_equation_5(
    shape: tuple[int, ...], seed: int, alpha: float, b: float
) -> None:
    image = random_image(shape, seed, dtype=torch.float64)
    expected = [equation_5(x, alpha, b) for x in image.numpy()]
    prior = BoundedRange(alpha, b)
    np.testing.assert_allclose(prior.value(image), expected, rtol=1e-10)
    np.testing.assert_allclose(
        prior.add_gradient(image, torch.zeros_like(image)), expected, rtol=1e-10
    )


@given(shape=shapes, seed=st.integers(0, 1000), beta=exponents, scale=st.floats(2, 40))
def test_total_variation_is_the_papers_sum(
    shape: tuple[int, ...], seed: int, beta: float, scale: float
) -> None:
    image = random_image(shape, seed, dtype=torch.float64)
    expected = [total_variation(x, beta, scale) for x in image.numpy()]
    prior = TotalVariation(beta, scale)
    np.testing.assert_allclose(prior.value(image), expected, rtol=1e-10, atol=1e-14)
    value = prior.add_gradient(image, torch.zeros_like(image))
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-14)


@given(shape=shapes, seed=st.integers(0, 1000), beta=exponents, flat=st.booleans())
@pytest.mark.parametrize("size", [60.0, 1e-3, 1e-8])
def test_the_gradient_of_total_variation_is_the_authors_with_its_floor(
    size: float, shape: tuple[int, ...], seed: int, beta: float, flat: bool
) -> None:
    """Differences far above the floor of 1e-6, around it, and far below."""
    image = random_image(shape, seed, scale=size, dtype=torch.float64)
    if flat:
        image[..., : shape[-1] // 2] = 7.0
    into = torch.zeros_like(image)
    TotalVariation(beta, V=10.0).add_gradient(image, into)
    expected = np.stack([authors_tv_gradient(x, beta, 10.0) for x in image.numpy()])
    np.testing.assert_allclose(into, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())


def test_the_priors_of_a_typical_image_are_around_one() -> None:
    """Sect. 3.3: the terms are made to have comparable values, around unity."""
    typical_colour = torch.full((1, 3, 8, 8), 80.0 / 3**0.5)
    assert BoundedRange().value(typical_colour).item() == pytest.approx(1, rel=1e-5)
    ramp = (80.0 / 6.5) * torch.arange(64.0).expand(1, 1, 64, 64)
    assert TotalVariation().value(ramp).item() == pytest.approx(63 / 64, rel=1e-5)
