"""Max pooling with the derivative of the mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import preimage as pi
from nets import made
from preimage.energy import Energy, Euclidean
from preimage.errors import UsageError
from preimage.models.layers import PaddedAvgPool2d, PaddedMaxPool2d
from preimage.recipes import settings_for
from preimage.recipes.doubts import doubts
from preimage.representations import NetworkLayer, representation
from preimage.representations.pooling import derivative_of
from toys import SIDE, random_image

WINDOWS = (
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 2},
    {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
)


def leaf() -> Tensor:
    return random_image((2, 3, 9, 11), 1).requires_grad_()


def derivative(output: Tensor, at: Tensor) -> Tensor:
    weight = random_image(tuple(output.shape), 2).to(output.dtype)
    (gradient,) = torch.autograd.grad(output, at, weight)
    return gradient


@pytest.mark.parametrize("window", WINDOWS)
def test_forward_is_the_maximum_and_backward_the_mean(window: dict[str, Any]) -> None:
    x, pool = leaf(), nn.MaxPool2d(**window)
    with derivative_of("mean"):
        pooled = pool(x)
    assert torch.equal(pooled, pool(x))
    mean = nn.AvgPool2d(**window, count_include_pad=False)(x)
    got = derivative(pooled, x)
    assert torch.equal(got, derivative(mean, x))
    assert not torch.equal(got, derivative(pool(x), x))


def test_the_gradient_of_a_window_is_shared_out_whole() -> None:
    x = leaf()
    with derivative_of("mean"):
        pooled = functional.max_pool2d(x, 3, 2, 1)
    (gradient,) = torch.autograd.grad(pooled, x, torch.ones_like(pooled))
    np.testing.assert_allclose(float(gradient.sum()), pooled.numel(), rtol=1e-5)


@pytest.mark.parametrize("pad", [(0, 1, 0, 1), (1, 1, 1, 1), (2, 0, 1, 2)])
def test_padding_with_minus_infinity_gets_no_gradient(pad: tuple[int, int, int, int]) -> None:
    x = leaf()
    with derivative_of("mean"):
        pooled = PaddedMaxPool2d(3, 2, pad)(x)
    mean = PaddedAvgPool2d(3, 2, pad)(x)
    assert pooled.shape == mean.shape
    got, expected = derivative(pooled, x), derivative(mean, x)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_and_memory_format(precision: torch.dtype) -> None:
    x = leaf().detach().to(precision, memory_format=torch.channels_last).requires_grad_()
    with derivative_of("mean"):
        pooled = functional.max_pool2d(x, 3, 2, 1)
    assert torch.equal(pooled, functional.max_pool2d(x, 3, 2, 1))
    mean = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    assert torch.equal(derivative(pooled, x), derivative(mean, x))


def test_other_ways_to_call_it_are_found() -> None:
    x = leaf()
    with derivative_of("mean"):
        ways = [
            functional.max_pool2d(x, 2),
            functional.max_pool2d(input=x, kernel_size=[2], stride=2),
            torch.max_pool2d(x, (2, 2)),
            torch.max_pool2d(input=x, kernel_size=2, stride=[2]),
        ]
    expected = derivative(functional.avg_pool2d(x, 2), x)
    for pooled in ways:
        assert torch.equal(derivative(pooled, x), expected)


def test_windows_without_a_mean_keep_their_own_derivative() -> None:
    x = leaf()
    with derivative_of("mean"):
        spread = functional.max_pool2d(x, 2, dilation=2)
        indexed, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(
        derivative(spread, x), derivative(functional.max_pool2d(x, 2, dilation=2), x)
    )
    assert torch.equal(derivative(indexed, x), derivative(functional.max_pool2d(x, 2), x))
    assert indices.shape == indexed.shape


def test_nothing_is_left_after_it_or_after_an_error() -> None:
    x = leaf()
    own = derivative(functional.max_pool2d(x, 2), x)
    with pytest.raises(ZeroDivisionError), derivative_of("mean"):
        raise ZeroDivisionError
    assert torch.equal(derivative(functional.max_pool2d(x, 2), x), own)
    with derivative_of("max"):
        assert torch.equal(derivative(functional.max_pool2d(x, 2), x), own)


def energy_of(network: nn.Module, layer: str) -> Energy:
    phi = representation(network, layer, input_size=SIDE, mean=(120.0,) * 3, std=(60.0,) * 3)
    assert isinstance(phi, NetworkLayer)
    with torch.no_grad():
        return Energy(phi, Euclidean(phi(random_image((1, 3, SIDE, SIDE), 1))), fidelity=10.0)


@pytest.mark.parametrize("layer", ["layer2", "layer1.0.relu#2", "relu"])
def test_a_networks_loss_stays_and_its_gradient_is_another_behind_the_pooling(layer: str) -> None:
    energy, view = energy_of(made("resnet"), layer), random_image((1, 3, SIDE, SIDE), 2)
    loss, own = energy.loss_and_gradient(view)
    same, mean = energy.loss_and_gradient(view, pooling="mean")
    assert torch.equal(loss, same)
    before_the_pooling = layer == "relu"
    assert torch.equal(own, mean) == before_the_pooling


def test_a_stage_says_whose_derivative_its_pooling_has() -> None:
    energy = energy_of(made("resnet"), "layer2")
    own, mean = (
        pi.minimise(
            energy,
            canvas=pi.SpectralCanvas(),
            step_rule=pi.Adam(0.02),
            stages=[pi.Stage(1), pi.Stage(4, pooling=pooling)],
        )
        for pooling in ("max", "mean")
    )
    assert torch.equal(own.trace[:2], mean.trace[:2])
    assert not torch.equal(own.trace[2:], mean.trace[2:])


class Beaten(nn.Module):
    """Pools the image with something larger, of which nothing comes back to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d((2 * SIDE, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.pool(torch.cat([image, image.detach() + 10], dim=2))


def test_a_start_is_idle_by_the_derivative_that_the_first_stage_has() -> None:
    energy = energy_of(Beaten(), "pool")
    best = settings_for(energy.representation, "best")
    warnings = []
    for pooling in ("max", "mean"):
        settings = replace(best, stages=(pi.Stage(1, pooling=pooling), pi.Stage(1)))
        warnings += doubts(energy, settings, (SIDE, SIDE), [0])
    assert "has no gradient at the start" in warnings[0][0]
    assert warnings[1] == []


@pytest.mark.parametrize("pooling", ["median", 5, None, ["max"]])
def test_an_unknown_pooling_is_refused(pooling: Any) -> None:
    expected = f"pooling must be one of max, mean, got {pooling!r}."
    for refusing in (derivative_of, lambda name: pi.Stage(1, pooling=name)):
        with pytest.raises(UsageError) as refused:
            refusing(pooling)
        assert str(refused.value) == expected
