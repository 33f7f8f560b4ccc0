"""Searching the images of goals: as problems of their own, or together on one canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from preimage.energy import Apart, Energy, InnerProduct
from preimage.energy.losses import Loss, inner_product
from preimage.recipes.maximization_goals import Goal, channel_of, name_of
from preimage.recipes.maximization_grid import Box, Grid, field_of, square
from preimage.recipes.records import Classes, Observer, make_record, make_result
from preimage.recipes.settings import MaximizationSettings
from preimage.recipes.views import View, view_for
from preimage.representations import Representation
from preimage.search.minimise import Outcome, minimise
from preimage.search.result import Result
from preimage.search.views import RandomViews

BATCH = 16
"""Problems searched at once; more would need more memory and, on a CPU, no less time."""


@dataclass(frozen=True)
class Job:
    """Everything about a maximization but the objectives."""

    representation: Representation
    settings: MaximizationSettings
    seed: int
    restarts: int
    callbacks: Sequence[Observer]

    def in_batches(self, goals: Sequence[Goal]) -> list[Result]:
        """Every objective and restart as a problem of its own."""
        most = per_search(self.representation, "batch", self.restarts)
        results: list[Result] = []
        for first in range(0, len(goals), most):
            results += self._batch(goals[first : first + most])
        return results

    def _batch(self, goals: Sequence[Goal]) -> list[Result]:
        phi, view = self.representation, view_for(self.representation)
        targets = torch.stack([goal.weights for goal in goals]).repeat_interleave(self.restarts, 0)
        Z = [goal.M for goal in goals for _ in range(self.restarts)]
        loss: Loss = InnerProduct(targets.to(phi.device), torch.tensor(Z))
        if self.settings.diversity:
            loss = Apart(loss, self.restarts, self.settings.diversity)
        seeds = [self.seed + restart for restart in range(self.restarts)] * len(goals)
        outcome = self._search(phi, loss, view, seeds, self.settings.views)
        with torch.no_grad():
            activations = inner_product(phi(outcome.view), loss.target).tolist()
        classes = Classes(phi, outcome.view)
        logits = phi.logits(outcome.view)
        results = []
        for problem, activation in enumerate(activations):
            goal = goals[problem // self.restarts]
            box = field_of(goal.weights, phi.geometry, view)
            results.append(
                self._result(
                    goal,
                    _cropped(outcome, problem, box),
                    activation,
                    restart=problem % self.restarts,
                    classes=classes.record(problem),
                    more={"class": _score(phi, goal.weights, logits, problem)},
                )
            )
        return results

    def _search(
        self,
        phi: Representation,
        loss: Loss,
        view: View,
        seeds: Sequence[int],
        views: RandomViews | None,
    ) -> Outcome:
        chosen = self.settings
        return minimise(
            Energy(phi, loss, chosen.priors, chosen.fidelity),
            canvas=chosen.canvas,
            stages=chosen.stages,
            softening=chosen.softening,
            step_rule=chosen.step_rule,
            view=view,
            views=views,
            seeds=seeds,
            callbacks=self.callbacks,
        )

    def _result(
        self,
        goal: Goal,
        outcome: Outcome,
        activation: float,
        *,
        restart: int,
        classes: dict[str, Any] | None,
        more: dict[str, Any],
    ) -> Result:
        terms = goal.objective.to_dict()
        record = make_record(
            "maximize",
            self.representation,
            self.settings,
            outcome,
            0,
            code=goal.weights,
            image=None,
            seed=self.seed,
            restart=restart,
            measured={
                "objective": {"words": str(goal.objective), "terms": terms},
                "restarts": self.restarts,
                "M": goal.M,
                "M_source": goal.M_source,
                "activation": activation,
                "ratio": activation / goal.M,
                **more,
            },
            classes=classes,
            warnings=goal.warnings,
        )
        return make_result(
            record,
            self.representation,
            outcome,
            0,
            name=name_of(goal, self.representation),
            title=name_of(goal, self.representation),
            code=goal.weights if terms is None else None,
        )

    def on_one_canvas(self, goals: Sequence[Goal]) -> list[Result]:
        """All channels on the spaced grid of one canvas, or of several where they are many."""
        grid = Grid.of(self.representation)
        results: list[Result] = []
        for first in range(0, len(goals), grid.most):
            results += self._canvas(goals[first : first + grid.most], grid)
        by_goal = sorted(range(len(results)), key=lambda i: _order(results[i], goals))
        return [results[i] for i in by_goal]

    def _canvas(self, goals: Sequence[Goal], grid: Grid) -> list[Result]:
        channels = [channel_of(goal) for goal in goals]
        across, places = grid.layout(len(goals))
        phi, side = grid.cells(self.representation, across), grid.side(across)
        target = torch.zeros(1, len(goals[0].weights), across, across)
        for channel, goal, place in zip(channels, goals, places, strict=True):
            target[(0, channel, *place)] = 1.0 / goal.M
        # The prior is per pixel of a larger canvas: each channel weighs as if it had its own.
        loss = InnerProduct(target.to(phi.device), (side / grid.input_size) ** 2)
        cells = [grid.cell(place) for place in places]
        shared = {
            "channels": channels,
            "M": [goal.M for goal in goals],
            "cells": [list(cell) for cell in cells],
        }
        results = []
        for restart in range(self.restarts):
            outcome = self._search(phi, loss, (side, side), [self.seed + restart], views=None)
            with torch.no_grad():
                code = phi(outcome.view)[0]
            for i, goal in enumerate(goals):
                box = square(grid.geometry, cells[i], (side, side))
                part = _cropped(outcome, 0, box, outcome.view)
                results.append(
                    self._result(
                        goal,
                        replace(part, seconds=outcome.seconds / len(goals)),
                        float(code[(channels[i], *places[i])]),
                        restart=restart,
                        classes=None,
                        more={"class": None, "canvas": shared},
                    )
                )
        return results


def per_search(representation: Representation, layout: str, restarts: int) -> int:
    """How many objectives one search takes."""
    return Grid.of(representation).most if layout == "canvas" else max(1, BATCH // restarts)


def _order(result: Result, goals: Sequence[Goal]) -> tuple[int, int]:
    words = [str(goal.objective) for goal in goals]
    return words.index(result.record["objective"]["words"]), result.record["restart"]


def _cropped(
    outcome: Outcome, problem: int, box: Box | None, canvas: Tensor | None = None
) -> Outcome:
    """One problem of an outcome, its view cut to a box, and its canvas if one is given."""
    one = slice(problem, problem + 1)
    view = outcome.view[one] if box is None else outcome.view[one][..., box[0], box[1]]
    return replace(
        outcome,
        image=outcome.image[one] if canvas is None else view,
        view=view,
        terms=outcome.terms[one],
        trace=outcome.trace[:, one],
    )


def _score(
    representation: Representation, weights: Tensor, logits: Tensor | None, problem: int
) -> dict[str, Any] | None:
    """Probability and rank of the class that was maximized, if it was one."""
    wanted = weights.nonzero()
    if logits is None or weights.dim() > 1 or len(wanted) != 1 or len(weights) != logits.shape[1]:
        return None
    index, scores = int(wanted[0]), logits[problem]
    labels = representation.class_labels
    return {
        "index": index,
        "label": labels[index] if labels else str(index),
        "probability": float(scores.softmax(0)[index]),
        "rank": 1 + int((scores > scores[index]).sum()),
    }
