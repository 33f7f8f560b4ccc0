"""Softened derivatives of ReLU and max pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import preimage as pi
from nets import made
from preimage.energy import Energy, Euclidean
from preimage.errors import UsageError
from preimage.models.layers import PaddedAvgPool2d, PaddedMaxPool2d
from preimage.recipes import settings_for
from preimage.recipes.doubts import doubts
from preimage.representations import NetworkLayer, representation
from preimage.representations.softening import HARD, Softness, softened
from toys import SIDE, random_image

WINDOWS = (
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 2},
    {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": (3, 1), "stride": 2},
)
SOFT = Softness(relu=1.0, pooling=0.5)
MEAN = Softness(pooling=1e9)


def leaf(seed: int = 1) -> Tensor:
    return (random_image((2, 3, 9, 11), seed).double() / 10).requires_grad_()


def weight_of(output: Tensor) -> Tensor:
    return random_image(tuple(output.shape), 2).to(output.dtype)


def derivative(output: Tensor, at: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(output, at, weight_of(output))
    return gradient


def size(activations: np.ndarray) -> np.ndarray:
    """Root mean square of every problem."""
    axes = tuple(range(1, activations.ndim))
    return np.sqrt(np.mean(activations**2, axis=axes, keepdims=True))


def clipped_mean(z: np.ndarray, softness: float, top: float) -> np.ndarray:
    """The mean of d/dz clip(z, 0, top) over z ± a: how much of that range lies between them."""
    a = softness * size(z)
    return (np.clip(z + a, 0, top) - np.clip(z - a, 0, top)) / (2 * a)


RELUS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "module": (nn.ReLU(), math.inf),
    "module in place": (nn.ReLU(inplace=True), math.inf),
    "functional": (functional.relu, math.inf),
    "torch": (torch.relu, math.inf),
    "torch in place": (torch.relu_, math.inf),
    "method": (Tensor.relu, math.inf),
    "method in place": (Tensor.relu_, math.inf),
    "relu6": (nn.ReLU6(), 6.0),
    "relu6 in place": (nn.ReLU6(inplace=True), 6.0),
    "functional relu6": (functional.relu6, 6.0),
    "hardtanh": (nn.Hardtanh(0.0, 2.5), 2.5),
}


@pytest.mark.parametrize("softness", [0.03, 1.0, 5.0])
@pytest.mark.parametrize("name", RELUS)
def test_relu_has_the_mean_of_its_derivative(name: str, softness: float) -> None:
    relu, top = RELUS[name]
    x = leaf()
    with softened(Softness(relu=softness)):
        # Not the leaf itself, which nothing may change in place.
        y = relu(x * 1)
    assert torch.equal(y, x.clamp(0, top))
    expected = clipped_mean(x.detach().numpy(), softness, top) * weight_of(y).numpy()
    np.testing.assert_allclose(derivative(y, x).numpy(), expected, rtol=1e-10, atol=1e-14)


def test_what_was_computed_before_a_relu_in_place_is_changed_as_by_its_own() -> None:
    x = leaf()
    with softened(SOFT):
        z = x * 1
        part = z[:, 1:]
        functional.relu(part, inplace=True)
    assert torch.equal(z[:, :1], x[:, :1])
    assert torch.equal(z[:, 1:], x[:, 1:].clamp(min=0))
    expected = clipped_mean(x[:, 1:].detach().numpy(), 1.0, math.inf)
    got = derivative(z, x) / weight_of(z)
    np.testing.assert_allclose(got[:, 1:].numpy(), expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(got[:, :1].numpy(), 1.0)


def soft_pooling(x: np.ndarray, pooled: np.ndarray, g: np.ndarray, window: dict[str, Any]) -> Any:
    """Every window's gradient shared out as softmax(x/τ), written as loops."""
    pairs = {k: v if isinstance(v, tuple) else (v, v) for k, v in window.items()}
    kernel, padding = pairs["kernel_size"], pairs.get("padding", (0, 0))
    stride, spread = pairs.get("stride", kernel), np.zeros_like(x)
    tau = SOFT.pooling * size(pooled)
    for n, c, i, j in product(*map(range, pooled.shape)):
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
        rows = slice(max(top, 0), top + kernel[0])
        columns = slice(max(left, 0), left + kernel[1])
        share = np.exp((x[n, c, rows, columns] - pooled[n, c, i, j]) / tau[n, 0, 0, 0])
        spread[n, c, rows, columns] += g[n, c, i, j] * share / share.sum()
    return spread


@pytest.mark.parametrize("window", WINDOWS)
def test_max_pooling_shares_its_gradient_out(window: dict[str, Any]) -> None:
    x, pool = leaf(), nn.MaxPool2d(**window)
    with softened(SOFT):
        pooled = pool(x)
    assert torch.equal(pooled, pool(x))
    arrays = [each.detach().numpy() for each in (x, pooled, weight_of(pooled))]
    expected = soft_pooling(*arrays, window)
    np.testing.assert_allclose(derivative(pooled, x).numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
def test_very_soft_is_the_mean_and_hardly_soft_its_own(window: dict[str, Any]) -> None:
    x, pool = leaf(), nn.MaxPool2d(**window)
    with softened(MEAN):
        very = pool(x)
    mean = nn.AvgPool2d(**window, count_include_pad=False)(x)
    torch.testing.assert_close(derivative(very, x), derivative(mean, x), rtol=1e-6, atol=1e-8)
    with softened(Softness(relu=1e-6, pooling=1e-6)):
        hardly = torch.relu(pool(x))
    assert torch.equal(derivative(hardly, x), derivative(torch.relu(pool(x)), x))


@pytest.mark.parametrize("pad", [(0, 1, 0, 1), (1, 1, 1, 1), (2, 0, 1, 2)])
def test_padding_with_minus_infinity_gets_no_gradient(pad: tuple[int, int, int, int]) -> None:
    x = leaf()
    with softened(MEAN):
        pooled = PaddedMaxPool2d(3, 2, pad)(x)
    mean = PaddedAvgPool2d(3, 2, pad)(x)
    assert pooled.shape == mean.shape
    torch.testing.assert_close(derivative(pooled, x), derivative(mean, x), rtol=1e-6, atol=1e-8)


def test_a_window_with_nothing_inside_gives_nothing() -> None:
    x = leaf()
    with softened(SOFT):
        pooled = functional.max_pool2d(functional.pad(x, (4, 0, 0, 0), value=-torch.inf), 2)
    seen = pooled[..., 2:]
    assert bool((pooled[..., :2] == -torch.inf).all())
    (gradient,) = torch.autograd.grad(seen, x, torch.ones_like(seen))
    np.testing.assert_allclose(float(gradient.sum()), seen.numel(), rtol=1e-9)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_and_memory_format(precision: torch.dtype) -> None:
    x = leaf().detach().to(precision, memory_format=torch.channels_last).requires_grad_()
    with softened(SOFT):
        soft = functional.max_pool2d(torch.relu(x), 3, 2, 1)
    own = functional.max_pool2d(torch.relu(x), 3, 2, 1)
    assert torch.equal(soft, own)
    assert soft.stride() == own.stride()
    y = x.detach().double().contiguous().requires_grad_()
    with softened(SOFT):
        exact = functional.max_pool2d(torch.relu(y), 3, 2, 1)
    got, expected = derivative(soft, x).double(), derivative(exact, y)
    assert float((got - expected).norm() / expected.norm()) < 0.02


def test_a_window_of_one_pixel_has_its_own_derivative() -> None:
    x = leaf()
    with softened(SOFT):
        y = functional.max_pool2d(x, 1, 2)
    assert torch.equal(derivative(y, x), derivative(functional.max_pool2d(x, 1, 2), x))


def test_what_is_not_a_number_stays_so_and_reaches_its_windows_alone() -> None:
    x = leaf().detach()
    x[0, 0, 3, 4] = torch.nan
    x.requires_grad_()
    with softened(SOFT):
        soft = functional.max_pool2d(x, 3, 2)
    own = functional.max_pool2d(x, 3, 2)
    torch.testing.assert_close(soft, own, rtol=0, atol=0, equal_nan=True)
    assert int(soft.isnan().sum()) > 0


def test_what_was_pooled_may_be_changed_in_place() -> None:
    x = leaf()

    def gradient_of(change: Callable[[Tensor], Tensor]) -> Tensor:
        with softened(SOFT):
            return derivative(change(functional.max_pool2d(x, 2)), x)

    for inplace, plain in (
        (lambda y: y.add_(1), lambda y: y + 1),
        (nn.ReLU(inplace=True), nn.ReLU()),
    ):
        assert torch.equal(gradient_of(inplace), gradient_of(plain))


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_is_computed_again_for_the_backward_pass_keeps_its_own_derivative(
    reentrant: bool,
) -> None:
    x = leaf()
    network = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2), nn.ReLU())
    with softened(SOFT):
        y = torch.relu(checkpoint(network, x, use_reentrant=reentrant) - 1)
        plain = torch.relu(network(x).detach() - 1)
    assert torch.equal(y, plain)
    own = network(x)
    kept = own.detach().requires_grad_()
    with softened(SOFT):
        outer = torch.relu(kept - 1)
    (expected,) = torch.autograd.grad(own, x, derivative(outer, kept))
    torch.autograd.backward(y, weight_of(y))
    assert x.grad is not None
    assert torch.equal(x.grad, expected)


def test_activations_without_one_entry_for_each_problem_keep_their_own_derivative() -> None:
    x = leaf()
    for seen in (x.reshape(6, 99), x.reshape(9, 2, 33), x.mean()):
        with softened(SOFT, problems=2):
            soft = torch.relu(seen)
        (got,), (own,) = (torch.autograd.grad(y.sum(), x) for y in (soft, torch.relu(seen)))
        assert torch.equal(got, own)
    with softened(SOFT, problems=2):
        assert not torch.equal(derivative(torch.relu(x), x), derivative(x.clamp(min=0), x))


def test_odd_calls_do_what_they_do_unsoftened() -> None:
    x = leaf()
    with softened(SOFT):
        assert torch.relu(x[:0]).shape == (0, 3, 9, 11)
        assert functional.max_pool2d(x, np.int64(2)).shape == (2, 3, 4, 5)
        with pytest.raises(RuntimeError, match="stride"):
            functional.max_pool2d(x, 2, stride=0)
        with pytest.raises(ValueError, match="max_val"):
            functional.hardtanh(x, 0, -1)


def test_activations_that_are_all_zero_have_a_finite_derivative() -> None:
    x = torch.zeros(1, 2, 4, 4, requires_grad=True)
    with softened(SOFT):
        y = functional.max_pool2d(torch.relu(x), 2)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    np.testing.assert_allclose(gradient.numpy(), 0.5 / 4)


def test_a_problems_derivative_does_not_depend_on_its_batch() -> None:
    x = leaf().detach()
    x[1] *= 100

    def gradient_of(batch: Tensor) -> Tensor:
        at = batch.clone().requires_grad_()
        with softened(SOFT):
            y = functional.max_pool2d(torch.relu(at), 3, 2)
        return torch.autograd.grad(y, at, torch.ones_like(y))[0]

    assert torch.equal(gradient_of(x), torch.cat([gradient_of(x[:1]), gradient_of(x[1:])]))


def test_other_ways_to_call_max_pooling_are_found() -> None:
    x = leaf()
    with softened(MEAN):
        ways = [
            functional.max_pool2d(x, 2),
            functional.max_pool2d(input=x, kernel_size=[2], stride=2),
            torch.max_pool2d(x, (2, 2)),
            torch.max_pool2d(input=x, kernel_size=2, stride=[2]),
        ]
    expected = derivative(functional.avg_pool2d(x, 2), x)
    for pooled in ways:
        torch.testing.assert_close(derivative(pooled, x), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "own",
    [
        lambda x: functional.max_pool2d(x, 2, dilation=2),
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[0],
        lambda x: functional.adaptive_max_pool2d(x, 2),
        lambda x: functional.hardtanh(x, -3.0, 3.0),
        functional.leaky_relu,
        functional.silu,
    ],
)
def test_every_other_function_keeps_its_own_derivative(own: Callable[[Tensor], Tensor]) -> None:
    x = leaf()
    with softened(SOFT):
        y = own(x)
    assert torch.equal(derivative(y, x), derivative(own(x), x))


def test_where_no_gradient_is_asked_for_nothing_is_done() -> None:
    x = leaf().detach()
    with softened(SOFT):
        y = functional.relu6(torch.relu(functional.max_pool2d(x, 2)))
        counts = torch.relu(torch.tensor([-1, 2]))
    assert y.grad_fn is None
    assert counts.tolist() == [0, 2]


def test_nothing_is_left_after_it_or_after_an_error() -> None:
    x = leaf()
    own = derivative(functional.max_pool2d(torch.relu(x), 2), x)
    with pytest.raises(ZeroDivisionError), softened(SOFT):
        raise ZeroDivisionError
    assert torch.equal(derivative(functional.max_pool2d(torch.relu(x), 2), x), own)
    with softened(HARD):
        assert torch.equal(derivative(functional.max_pool2d(torch.relu(x), 2), x), own)


def energy_of(network: nn.Module, layer: str) -> Energy:
    phi = representation(network, layer, input_size=SIDE, mean=(120.0,) * 3, std=(60.0,) * 3)
    assert isinstance(phi, NetworkLayer)
    with torch.no_grad():
        return Energy(phi, Euclidean(phi(random_image((1, 3, SIDE, SIDE), 1))), fidelity=10.0)


@pytest.mark.parametrize("layer", ["layer2", "layer1.0.relu#2", "relu", "conv1"])
def test_a_networks_loss_stays_and_its_gradient_is_another_behind_the_first_relu(
    layer: str,
) -> None:
    energy, view = energy_of(made("resnet"), layer), random_image((1, 3, SIDE, SIDE), 2)
    loss, own = energy.loss_and_gradient(view)
    same, soft = energy.loss_and_gradient(view, softness=SOFT)
    assert torch.equal(loss, same)
    assert torch.equal(own, soft) == (layer == "conv1")


def test_a_search_is_soft_until_its_softening_ends() -> None:
    energy = energy_of(made("resnet"), "layer2")

    def trace(softening: pi.Softening | None) -> Tensor:
        return pi.minimise(
            energy,
            canvas=pi.SpectralCanvas(),
            step_rule=pi.Adam(0.02),
            stages=[pi.Stage(4)],
            softening=softening,
        ).trace

    own, soft = trace(None), trace(pi.Softening())
    assert torch.equal(own[:1], soft[:1])
    assert not torch.equal(own[1:], soft[1:])
    # The gradient of iteration 2 is soft in one of these alone; what it leads to is seen at 3.
    short, shorter = trace(pi.Softening(until=0.5)), trace(pi.Softening(until=0.25))
    assert torch.equal(short[:2], shorter[:2])
    assert not torch.equal(short[2:], shorter[2:])


class Dead(nn.Module):
    """A ReLU whose inputs are all below zero: no gradient of its own comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        return self.relu(torch.cat([image - 10, image.detach() + 10], dim=1))


def test_a_start_is_idle_by_its_own_derivative_and_what_moves_it_is_said() -> None:
    phi = energy_of(Dead(), "relu").representation
    energy = Energy(phi, Euclidean(torch.ones(1, 6, SIDE, SIDE)), fidelity=10.0)
    best = settings_for(energy.representation, "best")
    hard, soft = (
        doubts(energy, replace(best, softening=softening), (SIDE, SIDE), [0])
        for softening in (None, pi.Softening(relu=(20.0, 1.0)))
    )
    ((by_prior,),), ((by_softening,),) = hard, soft
    assert "has no gradient at the start, only the prior moved the image" in by_prior
    assert "only the prior and softened derivatives moved the image" in by_softening


def test_softening_falls_geometrically_to_nothing() -> None:
    softening = pi.Softening(relu=(1.0, 0.01), pooling=(9.0, 0.09), until=0.8)
    assert softening.at(0.0) == Softness(1.0, 9.0)
    middle = softening.at(0.4)
    np.testing.assert_allclose([middle.relu, middle.pooling], [0.1, 0.9])
    assert softening.at(0.8) == HARD == softening.at(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Softness(relu=-1.0),
            "the softness of relu must be a number of at least 0, got -1.",
        ),
        (
            lambda: Softness(pooling=math.nan),
            "the softness of pooling must be a number of at least 0, got nan.",
        ),
        (
            lambda: pi.Softening(relu=(1.0, 0.0)),
            "the softness of relu must be two positive numbers, its first and its last one, "
            "got (1.0, 0.0).",
        ),
        (
            lambda: pi.Softening(pooling=(1.0,)),  # type: ignore[arg-type]
            "the softness of pooling must be two positive numbers, its first and its last one, "
            "got (1.0,).",
        ),
        (
            lambda: pi.Softening(relu=2.0),  # type: ignore[arg-type]
            "the softness of relu must be two positive numbers, its first and its last one, "
            "got 2.0.",
        ),
        (
            lambda: pi.Softening(until=0.0),
            "until must be a fraction above 0 and at most 1, got 0.0.",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        make()
    assert str(refused.value) == message
