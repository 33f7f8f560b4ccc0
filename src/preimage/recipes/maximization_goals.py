"""Goals: objectives as weights on the codes of a layer, and the M they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from preimage.errors import PreimageError, UsageError, counted
from preimage.recipes.maxima import Maxima
from preimage.recipes.objectives import Channel, Objective, are_class_scores
from preimage.representations import Representation


@dataclass(frozen=True)
class Goal:
    """An objective on the codes of a layer.

    Attributes:
        objective: what was asked for.
        weights: Φ₀ of Eq. 4, of the code's shape without the batch.
        M: see `Maxima.bound`.
        M_source: where M is from: `photos`, `estimate`, or `median` of the channels.
        warnings: what a user should know of it.
    """

    objective: Objective
    weights: Tensor
    M: float
    M_source: str
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
        M, source, warnings = maxima.bound(weights), maxima.source, []
        if maxima.source != "photos":
            warnings.append(
                f"M is an estimate over {images_of(maxima)}; measure it with preimage stats"
            )
        if M < 0:
            source = "median"
            M = max(1e-6, float(np.median(np.abs(maxima.largest))))
            warnings.append("on no photo is it above 0; the median of all channels stands for M")
        return Goal(objective, weights, M, source, tuple(warnings))


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


def name_of(goal: Goal, representation: Representation) -> str:
    """What a result is called: a class by its name, anything else by its words."""
    labels, objective = representation.class_labels, goal.objective
    if not isinstance(objective, Channel):
        return str(objective)
    if labels is not None and are_class_scores(goal.weights.shape, labels):
        return labels[objective.index]
    return f"channel {objective}"


def channel_of(goal: Goal) -> int:
    """The channel of a goal that is all of it.

    Raises:
        UsageError: if it is more than that.
    """
    if isinstance(goal.objective, Channel) and goal.objective.position is None:
        return goal.objective.index
    raise UsageError(
        f"the layout canvas is for whole channels, got {goal.objective}: use the layout batch."
    )
