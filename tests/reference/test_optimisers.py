"""Step rules against PyTorch's Adam and SGD, SciPy's L-BFGS-B, and their own equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from preimage.errors import UsageError
from preimage.search import LBFGS, Adam, Momentum, NormalizedMomentum
from preimage.search.step_rules import StepRule
from toys import random_image

Array = NDArray[np.float64]


def rosenbrock(x: Tensor) -> tuple[Tensor, Tensor]:
    """Values `[N]` and gradients `[N, n]`; the minimum is 0 at (1, …, 1)."""
    ahead, behind = x[:, 1:], x[:, :-1]
    valley = ahead - behind.square()
    value = (100 * valley.square() + (1 - behind).square()).sum(1)
    gradient = torch.zeros_like(x)
    gradient[:, 1:] += 200 * valley
    gradient[:, :-1] += -400 * behind * valley - 2 * (1 - behind)
    return value, gradient


def descend(
    rule: StepRule,
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    steps: int,
) -> Tensor:
    x = start.clone()
    state = rule.begin(x)
    for _ in range(steps):
        value, gradient = function(x)
        rule.step_(x, gradient, value, 1.0, state)
    rule.finish_(x, state)
    return x


def follow(
    theirs: Callable[[Sequence[Tensor]], torch.optim.Optimizer],
    start: Tensor,
    gradients: list[Tensor],
) -> list[Tensor]:
    """The path of a PyTorch optimiser along given gradients."""
    x = start.clone().requires_grad_()
    optimiser, path = theirs([x]), []
    for gradient in gradients:
        x.grad = gradient.clone()
        optimiser.step()
        path.append(x.detach().clone())
    return path


def gradients_of_all_sizes(seed: int, count: int = 15) -> list[Tensor]:
    return [
        random_image((2, 5), seed + i, scale=10.0 ** (i % 7 - 3), dtype=torch.float64)
        for i in range(count)
    ]


@given(
    seed=st.integers(0, 1000),
    rate=st.floats(1e-4, 10),
    beta1=st.sampled_from([0.0, 0.9, 0.99]),
    beta2=st.sampled_from([0.5, 0.9, 0.999]),
)
def test_adam_takes_the_path_of_pytorchs(
    seed: int, rate: float, beta1: float, beta2: float
) -> None:
    start, gradients = torch.zeros(2, 5, dtype=torch.float64), gradients_of_all_sizes(seed)
    # Next to no ε: it stands before the bias correction here and after it there.
    rule, x = Adam(rate, beta1, beta2, epsilon=1e-30), start.clone()
    state = rule.begin(x)
    path = follow(
        lambda p: torch.optim.Adam(p, lr=rate, betas=(beta1, beta2), eps=1e-30), start, gradients
    )
    for gradient, expected in zip(gradients, path, strict=True):
        rule.step_(x, gradient.clone(), torch.zeros(2), 1.0, state)
        # ε = 1e-12 stands before the bias correction here and after it there.
        torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-9 * rate)


@given(seed=st.integers(0, 1000), rate=st.floats(1e-6, 1), rho=st.sampled_from([0.0, 0.5, 0.9]))
def test_momentum_takes_the_path_of_pytorchs_sgd(seed: int, rate: float, rho: float) -> None:
    start, gradients = torch.zeros(2, 5, dtype=torch.float64), gradients_of_all_sizes(seed)
    rule, x = Momentum(rate, rho), start.clone()
    state = rule.begin(x)
    path = follow(lambda p: torch.optim.SGD(p, lr=rate, momentum=rho), start, gradients)
    for gradient, expected in zip(gradients, path, strict=True):
        rule.step_(x, gradient.clone(), torch.zeros(2), 1.0, state)
        torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-9)


@given(
    seed=st.integers(0, 1000),
    rho=st.sampled_from([0.0, 0.5, 0.9]),
    ahead=st.sampled_from([0.0, 1.0]),
)
def test_normalized_momentum_of_signs_takes_the_path_of_pytorchs_sgd(
    seed: int, rho: float, ahead: float
) -> None:
    """Signs are normalized already; a whole step ahead is Nesterov's."""
    start, gradients = torch.zeros(2, 5, dtype=torch.float64), gradients_of_all_sizes(seed)
    gradients = [gradient.sign() for gradient in gradients]
    rule, x = NormalizedMomentum(0.3, rho, beta2=0.7, ahead=ahead), start.clone()
    state = rule.begin(x)
    path = follow(
        lambda p: torch.optim.SGD(
            p, lr=0.3 * (1 - rho), momentum=rho, nesterov=ahead == 1 and rho > 0
        ),
        start,
        gradients,
    )
    for gradient, expected in zip(gradients, path, strict=True):
        rule.step_(x, gradient.clone(), torch.zeros(2), 1.0, state)
        torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-9)


@given(
    seed=st.integers(0, 1000),
    rho=st.floats(0, 0.95),
    beta2=st.floats(0.1, 0.95),
    growth=st.floats(0, 2),
    ahead=st.floats(0, 1),
)
def test_normalized_momentum_is_its_equation(
    seed: int, rho: float, beta2: float, growth: float, ahead: float
) -> None:
    rule = NormalizedMomentum(0.3, rho, beta2, growth, ahead, epsilon=1e-30)
    parameters = torch.zeros(2, 5, dtype=torch.float64)
    state = rule.begin(parameters)
    x, m, v = (np.zeros((2, 5)) for _ in range(3))
    for t, gradient in enumerate(gradients_of_all_sizes(seed), start=1):
        g, rate = gradient.numpy(), 1 / t
        v = beta2 * v + (1 - beta2) * g**2
        u = g / np.sqrt(v / (1 - beta2**t))
        new = 1 / (1 / (1 - rho) + growth * (t - 1))
        m = (1 - new) * m + new * u
        x = x - 0.3 * rate * ((1 - ahead * new) * m + ahead * new * u)
        rule.step_(parameters, gradient.clone(), torch.zeros(2), rate, state)
        np.testing.assert_allclose(parameters.numpy(), x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rho": 1.0}, "rho must be at least 0 and below 1, got 1.0"),
        ({"rho": -0.1}, "rho must be at least 0 and below 1, got -0.1"),
        ({"rho": float("nan")}, "rho must be at least 0 and below 1, got nan"),
        ({"growth": -0.1}, "growth must be at least 0, got -0.1"),
    ],
)
def test_a_memory_without_end_or_that_shrinks_is_refused(
    options: dict[str, float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        NormalizedMomentum(0.1, **options)


@pytest.mark.parametrize("rule", [Adam(0.01), Momentum(0.01)], ids=repr)
def test_the_stages_rate_multiplies_the_rules(rule: Adam | Momentum) -> None:
    gradients = gradients_of_all_sizes(0)
    paths = []
    for own, factor in ((rule, 0.25), (type(rule)(rule.rate * 0.25), 1.0)):
        x = torch.zeros(2, 5, dtype=torch.float64)
        state = own.begin(x)
        for gradient in gradients:
            own.step_(x, gradient.clone(), torch.zeros(2), factor, state)
        paths.append(x)
    torch.testing.assert_close(*paths)


def scipys_minimum(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], start: Tensor
) -> tuple[float, Array]:
    def one(x: Array) -> tuple[float, Array]:
        value, gradient = function(torch.from_numpy(x)[None])
        return float(value), gradient[0].numpy()

    found = optimize.minimize(
        one, start.numpy(), jac=True, method="L-BFGS-B", options={"gtol": 1e-9}
    )
    return float(found.fun), found.x


def test_lbfgs_reaches_scipys_minimum_of_rosenbrocks_valley() -> None:
    start = torch.tensor([[-1.2, 1.0], [2.0, -2.0], [0.0, 0.0]], dtype=torch.float64)
    end = descend(LBFGS(first_step=0.1), rosenbrock, start, steps=150)
    for x0, x in zip(start, end, strict=True):
        value, place = scipys_minimum(rosenbrock, x0)
        assert rosenbrock(x[None])[0].item() <= value + 1e-9
        np.testing.assert_allclose(x, place, atol=1e-4)


def test_lbfgs_reaches_scipys_minimum_of_a_longer_valley() -> None:
    start = random_image((1, 10), scale=0.5, dtype=torch.float64)
    end = descend(LBFGS(first_step=0.1), rosenbrock, start, steps=250)
    value, _ = scipys_minimum(rosenbrock, start[0])
    assert rosenbrock(end)[0].item() <= value + 1e-6


@pytest.mark.parametrize("condition", [1.0, 100.0, 1e4])
def test_lbfgs_reaches_scipys_minimum_of_a_quadratic(condition: float) -> None:
    curvature = torch.logspace(0, float(np.log10(condition)), 12, dtype=torch.float64)
    centre = random_image((1, 12), scale=1.0, dtype=torch.float64)

    def quadratic(x: Tensor) -> tuple[Tensor, Tensor]:
        gradient = curvature * (x - centre)
        return 0.5 * (gradient * (x - centre)).sum(1), gradient

    start = torch.zeros(1, 12, dtype=torch.float64)
    end = descend(LBFGS(), quadratic, start, steps=160)
    value, place = scipys_minimum(quadratic, start[0])
    assert quadratic(end)[0].item() <= value + 1e-8
    np.testing.assert_allclose(end[0], place, atol=1e-3)


def test_lbfgs_needs_about_as_many_evaluations_as_scipy() -> None:
    counts = []
    for x0 in ([-1.2, 1.0], [2.0, -2.0], [-1.0, 2.0]):
        start = torch.tensor([x0], dtype=torch.float64)
        found = optimize.minimize(optimize.rosen, x0, jac=optimize.rosen_der, method="L-BFGS-B")
        ours = next(
            steps
            for steps in range(20, 100)
            if rosenbrock(descend(LBFGS(first_step=0.1), rosenbrock, start, steps))[0] < 1e-8
        )
        counts.append(ours / found.nfev)
    assert max(counts) < 2


def test_lbfgs_never_ends_above_the_lowest_energy_it_accepted() -> None:
    start = torch.tensor([[-1.2, 1.0]], dtype=torch.float64)
    ends = [
        rosenbrock(descend(LBFGS(first_step=5.0), rosenbrock, start, steps))[0].item()
        for steps in range(1, 60, 3)
    ]
    assert all(later <= earlier for earlier, later in pairwise(ends))
    assert ends[-1] < 1e-4


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), 1e30])
def test_lbfgs_backs_away_from_where_the_energy_is_not_finite(bad: float) -> None:
    """A wall at |x| ≥ 2, which the first step of length 100 jumps far behind."""

    def walled(x: Tensor) -> tuple[Tensor, Tensor]:
        inside = x.abs().amax(1) < 2
        value = torch.where(inside, 0.5 * x.square().sum(1), torch.tensor(bad).to(x))
        return value, torch.where(inside[:, None], x, torch.tensor(bad).to(x))

    end = descend(LBFGS(first_step=100.0), walled, torch.full((1, 3), 1.5).double(), steps=30)
    assert float(walled(end)[0]) < 1e-6
