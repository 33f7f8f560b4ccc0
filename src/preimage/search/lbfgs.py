"""L-BFGS, each problem of the batch by itself, one evaluation an iteration."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from torch import Tensor

from preimage.search.step_rules import State, StepRule

SUFFICIENT = 1e-4
"""Armijo's constant: the part of the promised decrease that a step must bring."""


@dataclass
class _Descent:
    """L-BFGS of one problem: the last accepted point, the curvature pairs, the trial under way."""

    memory: int
    first_step: float
    point: Tensor | None = None
    energy: float = float("inf")
    gradient: Tensor | None = None
    direction: Tensor | None = None
    slope: float = 0.0
    length: float = 1.0
    pairs: deque[tuple[Tensor, Tensor, float]] = field(default_factory=deque)

    def next_trial(self, trial: Tensor, gradient: Tensor, energy: float) -> Tensor:
        """Take in the trial's energy and gradient; the next point to try."""
        if self.point is None or energy <= self.energy + SUFFICIENT * self.length * self.slope:
            self._accept(trial, gradient, energy)
        else:
            self.length *= self._shrink(energy)
        assert self.point is not None
        assert self.direction is not None
        return self.point + self.length * self.direction

    def _shrink(self, energy: float) -> float:
        """Minimum, in [0.1, 0.5], of the parabola through point, slope and failed trial."""
        excess = energy - self.energy - self.length * self.slope
        if not excess > 0 or excess == float("inf"):
            return 0.1
        return min(0.5, max(0.1, -self.length * self.slope / (2 * excess)))

    def _accept(self, trial: Tensor, gradient: Tensor, energy: float) -> None:
        if self.point is not None and self.gradient is not None:
            step, change = trial - self.point, gradient - self.gradient
            curvature = float(step @ change)
            if curvature > 1e-10 * float(change @ change):
                self.pairs.append((step, change, curvature))
                if len(self.pairs) > self.memory:
                    self.pairs.popleft()
        self.point, self.gradient, self.energy = trial.clone(), gradient.clone(), energy
        self.direction = -self._inverse_hessian_times(self.gradient)
        self.slope = float(self.direction @ self.gradient)
        if self.slope >= 0:
            self.pairs.clear()
            self.direction = -self._inverse_hessian_times(self.gradient)
            self.slope = float(self.direction @ self.gradient)
        self.length = 1.0

    def _inverse_hessian_times(self, gradient: Tensor) -> Tensor:
        """The two-loop recursion (Nocedal & Wright, Algorithm 7.4)."""
        q, weights = gradient.clone(), []
        for step, change, curvature in reversed(self.pairs):
            weight = (step @ q) / curvature
            weights.append(weight)
            q -= weight * change
        if self.pairs:
            _, change, curvature = self.pairs[-1]
            q *= curvature / float(change @ change)
        else:
            q *= self.first_step / max(float(gradient.norm()), 1e-30)
        for (step, change, curvature), weight in zip(self.pairs, reversed(weights), strict=True):
            q += (weight - (change @ q) / curvature) * step
        return q


@dataclass(frozen=True)
class LBFGS(StepRule):
    """Limited-memory BFGS with backtracking, one problem of the batch independent of the others.

    Every iteration is one evaluation: a trial that does not lower the energy enough (Armijo) is
    followed by a shorter one from the same point, and the last accepted point is what remains at
    the end. Unlike the other rules it needs the same energy at every iteration, so it goes with
    stages without jitter.

    Attributes:
        first_step: length of the first step in parameter units.
        memory: curvature pairs kept.
    """

    first_step: float = 1.0
    memory: int = 20

    def begin(self, parameters: Tensor) -> State:
        return {"descents": [_Descent(self.memory, self.first_step) for _ in parameters]}

    def step_(
        self, parameters: Tensor, gradient: Tensor, energy: Tensor, rate: float, state: State
    ) -> None:
        for i, descent in enumerate(state["descents"]):
            flat = parameters[i].reshape(-1)
            trial = descent.next_trial(flat, gradient[i].reshape(-1), float(energy[i]))
            parameters[i] = trial.view_as(parameters[i])

    def finish_(self, parameters: Tensor, state: State) -> None:
        for i, descent in enumerate(state["descents"]):
            if descent.point is not None:
                parameters[i] = descent.point.view_as(parameters[i])
