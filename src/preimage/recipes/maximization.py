"""Activation maximization: an image that a component of a code answers to (Sect. 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from preimage.energy import Apart, Energy, InnerProduct
from preimage.energy.losses import Loss, inner_product
from preimage.errors import PreimageError, UsageError, counted
from preimage.recipes.inversion import code_shape
from preimage.recipes.maxima import Maxima, known_maxima
from preimage.recipes.maximization_presets import maximization_settings_for
from preimage.recipes.objectives import (
    Channel,
    Direction,
    Label,
    Objective,
    are_class_scores,
    from_dict,
    parse,
)
from preimage.recipes.records import Classes, Observer, check_seeds, make_record, make_result
from preimage.recipes.settings import MaximizationSettings
from preimage.recipes.views import view_for
from preimage.representations import Geometry, Representation
from preimage.search.minimise import Outcome, minimise
from preimage.search.result import Result

Wanted = Objective | int | str | np.ndarray
View = tuple[int, int]

BATCH = 16
"""Problems searched at once; more would need more memory and, on a CPU, no less time."""

LAYOUTS = ("batch", "canvas")
WIDEST = 1536
"""Side of the largest canvas that many channels share."""


def maximize(
    representation: Representation,
    objective: Wanted | Sequence[Wanted] | None = None,
    *,
    channel: int | None = None,
    label: str | None = None,
    preset: str = "best",
    settings: MaximizationSettings | None = None,
    maxima: Maxima | None = None,
    layout: str = "batch",
    seed: int = 0,
    restarts: int = 1,
    callbacks: Sequence[Observer] = (),
    **overrides: Any,
) -> Result | list[Result]:
    """Images that a component of a code, or a sum of components, answers to strongly (Eq. 4).

    x* = argmin R(x) − C·⟨Φ(x), Φ₀⟩/M

    M is the largest activation over photos: Eq. 9 without its ρ², which priors per pixel have no
    use for (docs/maximization.md).

    Args:
        representation: Φ; for classes the layer of their scores.
        objective: a channel's number, an objective (`Channel`, `Label`, `Direction`, sums of
            them), its words ("12 - 0.5*7"), a direction `[D]`; or several, each by itself.
        channel: the same as a number for `objective`.
        label: the name of a class.
        preset: a name of `MAXIMIZATION_PRESETS`.
        settings: whole settings in place of a preset.
        maxima: M of the channels, from `measure`; by default what is known of the layer.
        layout: `batch` gives every objective images of its own; `canvas` places single channels
            on a grid of one large canvas, where their receptive fields do not meet.
        seed: a whole number from 0; restart r uses seed + r.
        restarts: how many images of each objective.
        callbacks: called after every iteration with a `Snapshot`.
        overrides: single settings in place of the preset's: `iterations`, `fidelity`, `jitter`,
            `diversity`.

    Returns:
        One `Result` for one objective and one restart, otherwise a list, objective by objective.

    Raises:
        UsageError: if an objective, a preset or an override is unknown or out of range.
        PreimageError: if a channel is dead: M = 0.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="logits")
        >>> pi.maximize(phi, label="goose").save("goose")                    # doctest: +SKIP
    """
    check_seeds(seed, restarts)
    if layout not in LAYOUTS:
        raise UsageError(f"there is no layout {layout!r}; there are {' and '.join(LAYOUTS)}.")
    wanted, single = _wanted(objective, channel, label)
    shape = code_shape(representation)
    if settings is None:
        settings = maximization_settings_for(
            representation, preset, is_map=len(shape) == 3, **overrides
        )
    elif overrides or preset != "best":
        raise UsageError("give either whole settings or a preset with overrides, not both.")
    if settings.diversity and restarts < 2:
        raise UsageError("diversity needs at least 2 restarts to push apart.")
    maxima = known_maxima(representation) if maxima is None else maxima
    goals = goals_of(wanted, representation, shape, maxima)
    job = Job(representation, settings, seed, restarts, callbacks)
    found = job.on_one_canvas(goals) if layout == "canvas" else job.in_batches(goals)
    return found[0] if single and restarts == 1 else found


def _wanted(
    objective: Wanted | Sequence[Wanted] | None, channel: int | None, label: str | None
) -> tuple[list[Objective], bool]:
    """The objectives, and whether it was one."""
    given = [each for each in (objective, channel, label) if each is not None]
    if len(given) != 1:
        raise UsageError("give one of objective, channel and label: what is to be maximized.")
    if label is not None:
        return [Label(label)], True
    (one,) = given
    if isinstance(one, Objective | int | np.integer | str | np.ndarray):
        return [as_objective(one)], True
    several = [as_objective(each) for each in one]
    if not several:
        raise UsageError("no objective was given.")
    return several, False


def as_objective(wanted: Wanted) -> Objective:
    """An objective from a channel's number, from words, or from a direction."""
    if isinstance(wanted, Objective):
        return wanted
    if isinstance(wanted, str):
        return parse(wanted)
    return Direction(wanted) if isinstance(wanted, np.ndarray) else Channel(int(wanted))


@dataclass(frozen=True)
class Goal:
    """An objective on the codes of a layer.

    Attributes:
        objective: what was asked for.
        weights: Φ₀ of Eq. 4, of the code's shape without the batch.
        M: see `Maxima.bound`.
        warnings: what a user should know of it.
    """

    objective: Objective
    weights: Tensor
    M: float
    warnings: tuple[str, ...] = ()

    @staticmethod
    def of(
        objective: Objective, representation: Representation, shape: Sequence[int], maxima: Maxima
    ) -> Goal:
        objective = objective.resolved(shape, representation.class_labels)
        weights = objective.weights(shape)
        if len(maxima.largest) != shape[0]:
            raise PreimageError(
                f"these maxima are of {counted(len(maxima.largest), 'channel')}, "
                f"{representation.name} has {shape[0]}: measure them for this layer."
            )
        M, warnings = maxima.bound(weights), []
        if maxima.source != "photos":
            warnings.append(
                f"M is an estimate over {images_of(maxima)}; measure it with preimage stats"
            )
        if M < 0:
            M = max(1e-6, float(np.median(np.abs(maxima.largest))))
            warnings.append("on no photo is it above 0; the median of all channels stands for M")
        return Goal(objective, weights, M, tuple(warnings))


def goals_of(
    objectives: Sequence[Objective],
    representation: Representation,
    shape: Sequence[int],
    maxima: Maxima,
) -> list[Goal]:
    """The goal of each objective.

    Raises:
        PreimageError: if channels are dead, M = 0; all of them are named, as a whole layer may have
            many.
    """
    goals = [Goal.of(each, representation, shape, maxima) for each in objectives]
    dead = [str(goal.objective) for goal in goals if goal.M == 0]
    if dead:
        more = f" and {len(dead) - NAMED} more" if len(dead) > NAMED else ""
        named = f"{', '.join(dead[:NAMED])}{more} of {representation.name}"
        where = images_of(maxima)
        if len(dead) == 1:
            raise PreimageError(
                f"{named} is dead: its largest activation over {where} is 0 (M of Eq. 9). "
                "Choose another channel."
            )
        raise PreimageError(
            f"{named} are dead: their largest activations over {where} are 0 (M of Eq. 9). "
            "Leave them out."
        )
    return goals


NAMED = 20
"""Dead channels that a message names; `preimage stats --json` has them all."""

IMAGES = {
    "photos": ("photo", "photos"),
    "estimate": (
        "image of noise with the spectrum of photos",
        "images of noise with the spectrum of photos",
    ),
}
"""What the images of `Maxima` were, by its `source`: one of them, and several."""


def images_of(maxima: Maxima) -> str:
    """What the maxima were measured on, in words."""
    return counted(maxima.images, *IMAGES[maxima.source])


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
        outcome = self._search(
            loss, view, [self.seed + restart for restart in range(self.restarts)] * len(goals)
        )
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
        loss: Loss,
        view: View,
        seeds: Sequence[int],
        settings: MaximizationSettings | None = None,
    ) -> Outcome:
        chosen = settings or self.settings
        return minimise(
            Energy(self.representation, loss, chosen.priors, chosen.fidelity),
            canvas=chosen.canvas,
            stages=chosen.stages,
            step_rule=chosen.step_rule,
            view=view,
            views=chosen.views,
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
        phi = self.representation
        channels = [_channel_of(goal) for goal in goals]
        side, cells = grid.layout(len(goals))
        target = torch.zeros(1, *code_shape(phi, (side, side)))
        for channel, goal, (row, column) in zip(channels, goals, cells, strict=True):
            target[0, channel, row, column] = 1.0 / goal.M
        # The prior is per pixel of a larger canvas: each channel weighs as if it had its own.
        loss = InnerProduct(target.to(phi.device), (side / grid.input_size) ** 2)
        settings = replace(self.settings, views=None)
        results = []
        for restart in range(self.restarts):
            outcome = self._search(loss, (side, side), [self.seed + restart], settings)
            with torch.no_grad():
                code = phi(outcome.view)[0]
            shared = {
                "channels": channels,
                "M": [goal.M for goal in goals],
                "cells": [list(cell) for cell in cells],
            }
            for channel, goal, cell in zip(channels, goals, cells, strict=True):
                box = square(grid.geometry, cell, (side, side))
                part = _cropped(outcome, 0, box, outcome.view)
                activation = float(code[(channel, *cell)])
                alone = replace(part, seconds=outcome.seconds / len(goals))
                results.append(
                    self._result(
                        goal,
                        alone,
                        activation,
                        restart=restart,
                        classes=None,
                        more={"class": None, "canvas": shared},
                    )
                )
        return results


def per_search(representation: Representation, layout: str, restarts: int) -> int:
    """How many objectives one search takes."""
    return Grid.of(representation).most if layout == "canvas" else max(1, BATCH // restarts)


def again(
    representation: Representation,
    record: Mapping[str, Any],
    weights: np.ndarray | None,
    settings: MaximizationSettings,
    seed: int,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """The result of a record once more.

    Args:
        representation, settings, callbacks: see `maximize`.
        record: of the result.
        weights: Φ₀, where the record has no words for it.
        seed: of this restart.

    Raises:
        KeyError, TypeError, ValueError: if the record is damaged.
    """
    terms, M = record["objective"]["terms"], float(record["M"])
    objective = from_dict(terms) if weights is None else Direction(weights)
    shape = code_shape(representation)
    grid = record.get("canvas")
    if grid is not None:
        channels = [Channel(index) for index in grid["channels"]]
        goals = [
            Goal(each, each.weights(shape), float(m))
            for each, m in zip(channels, grid["M"], strict=True)
        ]
        found = Job(representation, settings, seed, 1, callbacks).on_one_canvas(goals)
        return found[channels.index(objective)]  # type: ignore[arg-type]
    goal = Goal(objective, objective.weights(shape), M)
    if not settings.diversity:
        return Job(representation, settings, seed, 1, callbacks).in_batches([goal])[0]
    # Restarts that push each other apart can't be had one by one.
    restart, restarts = int(record["restart"]), int(record["restarts"])
    job = Job(representation, settings, seed - restart, restarts, callbacks)
    return job.in_batches([goal])[restart]


def name_of(goal: Goal, representation: Representation) -> str:
    """What a result is called: a class by its name, anything else by its words."""
    labels, objective = representation.class_labels, goal.objective
    if not isinstance(objective, Channel):
        return str(objective)
    if labels is not None and are_class_scores(goal.weights.shape, labels):
        return labels[objective.index]
    return f"channel {objective}"


def _order(result: Result, goals: Sequence[Goal]) -> tuple[int, int]:
    words = [str(goal.objective) for goal in goals]
    return words.index(result.record["objective"]["words"]), result.record["restart"]


def _channel_of(goal: Goal) -> int:
    if isinstance(goal.objective, Channel) and goal.objective.position is None:
        return goal.objective.index
    raise UsageError(
        f"the layout canvas is for whole channels, got {goal.objective}: use the layout batch."
    )


@dataclass(frozen=True)
class Grid:
    """Cells of a layer so far apart that the squares they look at do not meet.

    Attributes:
        geometry: of the layer.
        spacing: cells from one to the next: about 1.1·ρ/stride, odd.
        first: the first cell, in rows and columns, whose square lies within the image.
        input_size: side of the images the network was made for; canvases differ from it by whole
            strides, so that padding falls as it does there.
        most: how many channels fit on a canvas of `WIDEST` pixels.
    """

    geometry: Geometry
    spacing: int
    first: int
    input_size: int

    @staticmethod
    def of(representation: Representation) -> Grid:
        geometry, side = representation.geometry, representation.input_size
        is_map = len(code_shape(representation)) == 3
        if not is_map or geometry is None or side is None or geometry.receptive_field > side:
            raise UsageError(
                f"{representation.name}: the layout canvas needs cells that see a part of the "
                "image only; use the layout batch."
            )
        spacing = math.ceil(1.1 * geometry.receptive_field / geometry.stride)
        before = ((geometry.receptive_field - 1) / 2 - geometry.offset) / geometry.stride
        return Grid(geometry, spacing + 1 - spacing % 2, max(0, math.ceil(before)), side)

    def side(self, across: int) -> int:
        """Side of the image with this many channels in a row."""
        field, stride = self.geometry.receptive_field, self.geometry.stride
        last = self.geometry.offset + (self.first + (across - 1) * self.spacing) * stride
        end = math.ceil(last + (field - 1) / 2) + 1
        return end + (self.input_size - end) % stride

    @property
    def most(self) -> int:
        across = 1
        while self.side(across + 1) <= WIDEST:
            across += 1
        return across**2

    def layout(self, count: int) -> tuple[int, list[tuple[int, int]]]:
        """Side of the image for so many channels, and the cell of each."""
        across = math.ceil(math.sqrt(count))
        at = [self.first + i * self.spacing for i in range(across)]
        return self.side(across), [(at[i // across], at[i % across]) for i in range(count)]


Box = tuple[slice, slice]


def square(geometry: Geometry, cell: tuple[int, int], view: View) -> Box:
    """The pixels that a cell sees, moved inside the view where they reach beyond it."""
    slices = []
    for at, extent in zip(cell, view, strict=True):
        field = min(geometry.receptive_field, extent)
        centre = geometry.offset + at * geometry.stride
        start = min(max(0, round(centre - (field - 1) / 2)), extent - field)
        slices.append(slice(start, start + field))
    return slices[0], slices[1]


def field_of(weights: Tensor, geometry: Geometry | None, view: View) -> Box | None:
    """What an objective sees, if that is one cell of a map; None is all of the image."""
    if geometry is None or weights.dim() < 3:
        return None
    cells = weights.abs().sum(0).nonzero().tolist()
    if len(cells) != 1:
        return None
    return square(geometry, (cells[0][0], cells[0][1]), view)


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
