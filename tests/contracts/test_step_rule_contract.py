"""What every step rule promises: the same checks over all kinds that settings can hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from preimage.recipes.settings import KINDS
from preimage.search.step_rules import StepRule

RULES = {name: kind for name, kind in KINDS.items() if issubclass(kind, StepRule)}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "WindowedAdaGrad": {"eta": 0.5},
    "NormalizedMomentum": {"rate": 0.05, "growth": 0.15, "ahead": 0.12},
    "Adam": {"rate": 0.05},
    "NAdam": {"rate": 0.05},
    "Momentum": {"rate": 0.02, "rho": 0.5},
}
"""Rates for a problem of size one; a rule that is not here is made with its defaults."""

every_rule = pytest.mark.parametrize(
    "rule", [kind(**ARGUMENTS.get(name, {})) for name, kind in RULES.items()], ids=RULES
)


def quadratic(count: int, size: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Curvatures, minima and starts of convex quadratics, one per problem."""
    generator = torch.Generator().manual_seed(1)
    curvature = 0.5 + 2 * torch.rand(count, size, generator=generator)
    minimum = torch.randn(count, size, generator=generator)
    return curvature, minimum, minimum + torch.randn(count, size, generator=generator)


def energy_of(x: Tensor, curvature: Tensor, minimum: Tensor) -> Tensor:
    return 0.5 * (curvature * (x - minimum).square()).sum(1)


def descend(
    rule: StepRule, curvature: Tensor, minimum: Tensor, start: Tensor, steps: int
) -> Tensor:
    """What `minimise` does with a rule."""
    x = start.clone()
    state = rule.begin(x)
    rule.begin_stage(state)
    for _ in range(steps):
        gradient = curvature * (x - minimum)
        rule.step_(x, gradient, energy_of(x, curvature, minimum), 1.0, state)
    rule.finish_(x, state)
    return x


def test_all_step_rules_can_be_saved_in_settings() -> None:
    kinds = {kind for kind in StepRule.__subclasses__() if kind.__module__.startswith("preimage.")}
    assert set(RULES.values()) == kinds


@every_rule
def test_it_lowers_a_convex_quadratic(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(3)
    end = descend(rule, curvature, minimum, start, steps=60)
    before, after = (energy_of(x, curvature, minimum) for x in (start, end))
    assert bool((after < 0.1 * before).all()), after / before


@every_rule
def test_the_first_step_goes_downhill(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(3)
    gradient = curvature * (start - minimum)
    step = descend(rule, curvature, minimum, start, steps=1) - start
    assert bool(((step * gradient).sum(1) <= 0).all())


@every_rule
def test_a_batch_goes_the_way_each_problem_goes_alone(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(3)
    together = descend(rule, curvature, minimum, start, steps=25)
    for i in range(3):
        one = slice(i, i + 1)
        alone = descend(rule, curvature[one], minimum[one], start[one], steps=25)
        torch.testing.assert_close(together[one], alone)


@every_rule
def test_a_zero_gradient_moves_nothing(rule: StepRule) -> None:
    curvature, minimum, _ = quadratic(2)
    assert torch.equal(descend(rule, curvature, minimum, minimum, steps=5), minimum)


@every_rule
def test_coordinates_without_gradient_stay(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(2)
    curvature[:, 2:] = 0
    end = descend(rule, curvature, minimum, start, steps=10)
    assert torch.equal(end[:, 2:], start[:, 2:])
    assert not torch.equal(end[:, :2], start[:, :2])


@every_rule
def test_tiny_and_huge_gradients_stay_finite(rule: StepRule) -> None:
    for size in (1e-12, 1e12):
        x = torch.ones(1, 4)
        state = rule.begin(x)
        gradient = torch.tensor([[size, -size, 0.0, size]])
        rule.step_(x, gradient, torch.tensor([size]), 1.0, state)
        assert torch.isfinite(x).all()


@every_rule
def test_it_moves_in_place_and_owns_no_part_of_the_gradient(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(2)
    expected = descend(rule, curvature, minimum, start, steps=4)
    x, buffer = start.clone(), torch.empty_like(start)
    place = x.data_ptr()
    state = rule.begin(x)
    for _ in range(4):
        # The loop has one buffer for all gradients; a rule that keeps a reference goes astray.
        torch.mul(curvature, x - minimum, out=buffer)
        rule.step_(x, buffer, energy_of(x, curvature, minimum), 1.0, state)
        buffer.fill_(float("nan"))
    rule.finish_(x, state)
    assert x.data_ptr() == place
    torch.testing.assert_close(x, expected)


@every_rule
def test_a_rule_keeps_nothing_between_two_searches(rule: StepRule) -> None:
    curvature, minimum, start = quadratic(2)
    first = descend(rule, curvature, minimum, start, steps=7)
    assert torch.equal(descend(rule, curvature, minimum, start, steps=7), first)
