"""Step rules: small pure pieces that turn a gradient into the next parameters.

A rule is a frozen description. `begin` makes its state, `begin_stage` is told that a stage starts,
`step_` moves the parameters in place, and `finish_` may put better parameters back at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from preimage.errors import UsageError

State = dict[str, Any]


class StepRule(ABC):
    """How the parameters follow the gradient; problems of a batch never mix."""

    @abstractmethod
    def begin(self, parameters: Tensor) -> State:
        """State for a first step from these parameters."""

    def begin_stage(self, state: State) -> None:  # noqa: B027 (nothing to reset is the rule)
        """Called when a stage starts; by default nothing is reset."""

    @abstractmethod
    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        """Move the parameters in place.

        `energy` is `[N]`, `rate` the stage's factor on the rule's own rate; the rule may overwrite
        `gradient`.
        """

    def finish_(self, parameters: Tensor, state: State) -> None:  # noqa: B027
        """Called once after the last step; by default the parameters stay."""


@dataclass(frozen=True)
class WindowedAdaGrad(StepRule):
    """The paper's Algorithm 1: AdaGrad over a short window, with momentum.

    G ← ρG + g²,  m ← ρm − g/(1/η + √G),  x ← x + m

    Unlike Adam, the window is a sum, not a mean, so that a steady gradient moves each coordinate by
    about √(1−ρ)/(1−ρ) of a unit an iteration, and η only matters while G is small. When a stage
    starts, the momentum is reset and G is kept.

    Attributes:
        eta: η; the authors' program uses H·W·0.05·B²/α (the paper prints 0.01·B²/α).
        rho: ρ, the window and the momentum.
    """

    eta: float
    rho: float = 0.9

    def begin(self, parameters: Tensor) -> State:
        zeros = torch.zeros_like
        return {"G": zeros(parameters), "m": zeros(parameters), "root": zeros(parameters)}

    def begin_stage(self, state: State) -> None:
        state["m"].zero_()

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        G, m, root = state["G"], state["m"], state["root"]
        G.mul_(self.rho).addcmul_(gradient, gradient)
        torch.sqrt(G, out=root)
        m.mul_(self.rho).addcdiv_(gradient, root.add_(1 / (self.eta * rate)), value=-1)
        parameters.add_(m)


def _moments(parameters: Tensor) -> State:
    """First and second moments, and room for the root of the second."""
    zeros = torch.zeros_like
    return {"t": 0, "m": zeros(parameters), "v": zeros(parameters), "root": zeros(parameters)}


@dataclass(frozen=True)
class Adam(StepRule):
    """Adam (Kingma & Ba 2015), with the bias correction of both moments.

    m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  x ← x − rate · m̂/(√v + ε)·√(1−β₂ᵗ)

    Unlike `WindowedAdaGrad`, the window is a mean, so that a step is about `rate` long in every
    coordinate whatever the gradient's scale.

    Attributes:
        rate: length of a step in parameter units.
        beta1, beta2: decay of the moments; a short second window (0.9) suits searches of a few
            hundred iterations far better than the usual 0.999.
        epsilon: keeps a coordinate without gradient where it is.
    """

    rate: float
    beta1: float = 0.9
    beta2: float = 0.9
    epsilon: float = 1e-12

    def begin(self, parameters: Tensor) -> State:
        return _moments(parameters)

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        state["t"] += 1
        first = 1 - self.beta1 ** state["t"]
        second = 1 - self.beta2 ** state["t"]
        m, v, root = state["m"], state["v"], state["root"]
        m.lerp_(gradient, 1 - self.beta1)
        v.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        # √(v/second) = √v/√second: the correction goes into the step and the floor.
        torch.sqrt(v, out=root).add_(self.epsilon)
        parameters.addcdiv_(m, root, value=-self.rate * rate * second**0.5 / first)


@dataclass(frozen=True)
class NAdam(StepRule):
    """Adam with Nesterov's momentum (Dozat 2016), without its warm-up of β₁.

    Unlike `Adam`, a step already follows the momentum that the next step will have:
    m̂ = β₁·m/(1−β₁ᵗ⁺¹) + (1−β₁)·g/(1−β₁ᵗ) in place of m/(1−β₁ᵗ).

    Attributes:
        rate, beta1, beta2, epsilon: as for `Adam`.
    """

    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-12

    def begin(self, parameters: Tensor) -> State:
        return _moments(parameters)

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        state["t"] += 1
        t, length = state["t"], self.rate * rate
        second = 1 - self.beta2**t
        m, v, root = state["m"], state["v"], state["root"]
        m.lerp_(gradient, 1 - self.beta1)
        v.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        torch.sqrt(v, out=root).add_(self.epsilon)
        ahead = self.beta1 / (1 - self.beta1 ** (t + 1))
        parameters.addcdiv_(m, root, value=-length * second**0.5 * ahead)
        now = (1 - self.beta1) / (1 - self.beta1**t)
        parameters.addcdiv_(gradient, root, value=-length * second**0.5 * now)


@dataclass(frozen=True)
class NormalizedMomentum(StepRule):
    """Each coordinate's gradient is normalized first, then averaged into a momentum.

    v ← β₂v + (1−β₂)g²,  u = g/√v̂ with v̂ = v/(1−β₂ᵗ),  m ← ρₜm + (1−ρₜ)u,
    x ← x − rate · ((1 − a(1−ρₜ))·m + a(1−ρₜ)·u),  1/(1−ρₜ) = 1/(1−ρ) + growth·(t − 1)

    Unlike Adam, which averages raw gradients and divides the average, one large gradient can't
    dominate the momentum for long, and a coordinate whose gradient changes sign comes to rest by
    itself: the average of +1 and −1 is 0, whatever their sizes. `WindowedAdaGrad` normalizes first
    too; its window is a sum and its step has no rate. With growth the momentum remembers little at
    first, while gradients turn, and more the longer the search lasts. Measured in docs/solvers.md.

    Attributes:
        rate: length of a step in parameter units, in a coordinate whose gradient keeps its sign.
        rho: ρ, decay of the momentum at first.
        beta2: decay of the squared gradient; 0 would be the gradient's sign alone.
        growth: by how many iterations the momentum's memory 1/(1−ρ) grows in an iteration.
        ahead: a, how much of Nesterov's step ahead of the momentum is taken; 1 is all of it.
        epsilon: keeps a coordinate without gradient where it is.

    Raises:
        UsageError: if ρ is not below 1, which would be an endless memory, or the memory shrinks.
    """

    rate: float
    rho: float = 0.9
    beta2: float = 0.6
    growth: float = 0.0
    ahead: float = 0.0
    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        if not 0 <= self.rho < 1:
            raise UsageError(f"rho must be at least 0 and below 1, got {self.rho!r}.")
        if not self.growth >= 0:
            raise UsageError(f"growth must be at least 0, got {self.growth!r}.")

    def begin(self, parameters: Tensor) -> State:
        return _moments(parameters)

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        memory = 1 / (1 - self.rho) + self.growth * state["t"]
        state["t"] += 1
        correction = 1 - self.beta2 ** state["t"]
        m, v, root = state["m"], state["v"], state["root"]
        v.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        # g/√(v/correction) = √correction · g/√v: the correction goes into the weight.
        torch.sqrt(v, out=root).add_(self.epsilon)
        weight = correction**0.5 / memory
        m.mul_(1 - 1 / memory).addcdiv_(gradient, root, value=weight)
        length = self.rate * rate
        parameters.add_(m, alpha=-length * (1 - self.ahead / memory))
        if self.ahead:
            parameters.addcdiv_(gradient, root, value=-length * self.ahead * weight)


@dataclass(frozen=True)
class Momentum(StepRule):
    """Gradient descent with momentum: m ← ρm − rate·g, x ← x + m.

    Unlike the other rules, its steps scale with the gradient.

    Attributes:
        rate: step per unit of gradient.
        rho: ρ, 0 for plain gradient descent.
    """

    rate: float
    rho: float = 0.9

    def begin(self, parameters: Tensor) -> State:
        return {"m": torch.zeros_like(parameters)}

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        m = state["m"]
        m.mul_(self.rho).add_(gradient, alpha=-self.rate * rate)
        parameters.add_(m)
