"""The paper's Algorithm 1, transcribed to NumPy: the step rule alone, and a whole search by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from preimage.energy import Energy
from preimage.search import PixelCanvas, Stage, UniformNoise, WindowedAdaGrad, minimise
from preimage.search.projections import project_ball_
from preimage.search.stages import scale_stages
from toys import SIDE, random_image, small_energy

Array = NDArray[np.float64]

RHO = 0.9


class Algorithm1:
    """G ← ρG + g²,  m ← ρm − g/(1/η + √G),  x ← Π(x + m)."""

    def __init__(self, x: Array) -> None:
        self.x, self.G, self.m = x, np.zeros_like(x), np.zeros_like(x)

    def begin_stage(self) -> None:
        """The learning rate changes: the momentum is reset, G is kept."""
        self.m = np.zeros_like(self.m)

    def step(self, g: Array, eta: float, radius: float | None = None) -> None:
        self.G = RHO * self.G + g**2
        self.m = RHO * self.m - g / (1 / eta + np.sqrt(self.G))
        self.x = self.x + self.m
        if radius is not None:
            self.x = onto_ball(self.x, radius)


def onto_ball(x: Array, radius: float) -> Array:
    """Each pixel's colour vector scaled back to length B₊ where it is longer; x is [n, k, v, u]."""
    length = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x * np.where(length > radius, radius / np.maximum(length, 1e-300), 1.0)


@given(
    gradients=st.lists(st.integers(0, 10_000), min_size=1, max_size=12),
    eta=st.floats(1e-3, 1e6),
    rates=st.lists(st.sampled_from([1.0, 0.1, 0.5]), min_size=1, max_size=3),
)
def test_the_step_rule_is_the_recurrence(
    gradients: list[int], eta: float, rates: list[float]
) -> None:
    start = random_image((2, 3, 2, 2), dtype=torch.float64)
    rule, x = WindowedAdaGrad(eta=eta, rho=RHO), start.clone()
    state, reference = rule.begin(x), Algorithm1(start.numpy())
    for rate in rates:
        rule.begin_stage(state)
        reference.begin_stage()
        for seed in gradients:
            g = random_image(x.shape, seed, scale=10.0 ** (seed % 5 - 3), dtype=torch.float64)
            reference.step(g.numpy(), eta * rate)
            rule.step_(x, g.clone(), torch.zeros(2), rate, state)
            np.testing.assert_allclose(x, reference.x, rtol=1e-10, atol=1e-10)


def test_a_new_stage_resets_the_momentum_and_keeps_G() -> None:
    rule, x = WindowedAdaGrad(eta=10.0), torch.zeros(1, 1)
    state = rule.begin(x)
    for _ in range(5):
        rule.step_(x, torch.ones(1, 1), torch.zeros(1), 1.0, state)
    accumulated, before = state["G"].clone(), x.clone()
    rule.begin_stage(state)
    rule.step_(x, torch.zeros(1, 1), torch.zeros(1), 1.0, state)
    assert torch.equal(x, before), "without gradient and momentum nothing moves"
    torch.testing.assert_close(state["G"], RHO * accumulated)


def test_a_steady_gradient_moves_as_the_docstring_says() -> None:
    """About √(1−ρ)/(1−ρ) of a unit an iteration, whatever its size."""
    for size in (1e-3, 1.0, 1e3):
        rule, x = WindowedAdaGrad(eta=1e9), torch.zeros(1, 1)
        state = rule.begin(x)
        for _ in range(200):
            before = x.clone()
            rule.step_(x, torch.full((1, 1), size), torch.zeros(1), 1.0, state)
        assert (before - x).item() == pytest.approx(0.1**0.5 / 0.1, rel=1e-3)


def reference_search(energy: Energy, stages: Sequence[Stage], eta: float, seed: int) -> Array:
    """The whole of Algorithm 1 in NumPy; only Φ and its derivative are PyTorch's."""
    margin = max(stage.jitter for stage in stages) - 1
    side = SIDE + margin
    start = UniformNoise().draw((3, side, side), [torch.Generator().manual_seed(seed)])
    search = Algorithm1(onto_ball(start.double().numpy(), 160.0))
    draws = torch.Generator().manual_seed(seed + 2**32)
    for stage in stages:
        search.begin_stage()
        first = (margin - stage.jitter + 1) // 2
        tau = torch.randint(stage.jitter, (stage.iterations, 2), generator=draws).numpy() + first
        for v, u in tau:
            x = search.x
            g = np.zeros_like(x)
            view = torch.from_numpy(x[..., v : v + SIDE, u : u + SIDE]).float()
            g[..., v : v + SIDE, u : u + SIDE] = energy.loss_and_gradient(view)[1]
            squared = (x**2).sum(axis=1, keepdims=True) / 80.0**2
            g += 6 * squared**2 * x / (80.0**2 * side * side)
            across, down = np.diff(x, axis=-1), np.diff(x, axis=-2)
            weight = 2 / (side * side * (80.0 / 6.5) ** 2)
            g[..., 1:] += weight * across
            g[..., :-1] -= weight * across
            g[..., 1:, :] += weight * down
            g[..., :-1, :] -= weight * down
            search.step(g, eta * stage.rate, radius=160.0)
    return search.x


@pytest.mark.parametrize("jitter", [1, 4])
def test_minimise_with_the_papers_settings_is_algorithm_1(jitter: int) -> None:
    energy = small_energy(layer="conv2")
    eta = SIDE * SIDE * 0.05 * 80.0**2 / 6
    stages = (Stage(14, jitter=jitter), Stage(6, rate=0.1))
    outcome = minimise(
        energy,
        canvas=PixelCanvas(B_plus=160.0),
        stages=stages,
        step_rule=WindowedAdaGrad(eta),
        seeds=[3],
    )
    expected = reference_search(energy, stages, eta, seed=3)
    assert np.abs(outcome.image.numpy() - expected).max() < 0.02


@given(
    radius=st.floats(0.5, 300),
    seed=st.integers(0, 1000),
    channels=st.integers(1, 4),
    scale=st.sampled_from([0.0, 1.0, 100.0, 1e6]),
)
def test_the_projection_is_that_onto_the_ball(
    radius: float, seed: int, channels: int, scale: float
) -> None:
    image = random_image((2, channels, 3, 4), seed, scale, dtype=torch.float64)
    expected = onto_ball(image.numpy().copy(), radius)
    projected = project_ball_(image, radius)
    assert projected.data_ptr() == image.data_ptr()
    np.testing.assert_allclose(projected, expected, rtol=1e-12)
    assert float(projected.norm(dim=1).max()) <= radius * (1 + 1e-12)


def test_the_projection_leaves_what_is_inside_bit_for_bit() -> None:
    image = random_image((1, 3, 8, 8), scale=20.0)
    assert torch.equal(project_ball_(image.clone(), 160.0), image)


def test_the_projection_is_the_nearest_point_of_the_ball() -> None:
    image = random_image((1, 3, 8, 8), scale=200.0, dtype=torch.float64)
    nearest = (project_ball_(image.clone(), 160.0) - image).norm(dim=1)
    for seed in range(20):
        other = project_ball_(random_image((1, 3, 8, 8), seed, dtype=torch.float64), 160.0)
        assert bool(((other - image).norm(dim=1) >= nearest - 1e-9).all())


def test_the_papers_stages_scale_with_their_proportion() -> None:
    stages = scale_stages((Stage(300, jitter=4), Stage(50, rate=0.1)), 700)
    assert stages == (Stage(600, jitter=4), Stage(100, rate=0.1))
