"""Activation maximization: an image that a component of a code answers to (Sect. 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from preimage.errors import UsageError
from preimage.recipes.inversion import as_array, code_shape
from preimage.recipes.maxima import Maxima, known_maxima
from preimage.recipes.maximization_goals import Goal, goals_of
from preimage.recipes.maximization_presets import maximization_settings_for
from preimage.recipes.maximization_search import Job
from preimage.recipes.objectives import Channel, Direction, Label, Objective, from_dict, parse
from preimage.recipes.records import Observer, check_seeds
from preimage.recipes.settings import MaximizationSettings, check_overrides
from preimage.recipes.views import check_representation
from preimage.representations import Representation
from preimage.search.result import Result

Wanted = Objective | int | str | np.ndarray | Tensor

LAYOUTS = ("batch", "canvas")


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
    check_representation(representation)
    check_overrides(overrides, maximize, maximization_settings_for)
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
    if not isinstance(one, Iterable) or isinstance(one, str | np.ndarray | Tensor):
        return [as_objective(one)], True
    several = [as_objective(each) for each in one]
    if not several:
        raise UsageError("no objective was given.")
    return several, False


def as_objective(wanted: Wanted) -> Objective:
    """An objective from a channel's number, from words, or from a direction.

    Raises:
        UsageError: if it is none of these.
    """
    if isinstance(wanted, Objective):
        return wanted
    if isinstance(wanted, str):
        return parse(wanted)
    if isinstance(wanted, int | np.integer):
        return Channel(int(wanted))
    if isinstance(wanted, Tensor):
        wanted = as_array(wanted)
    if isinstance(wanted, np.ndarray):
        return Direction(wanted)
    raise UsageError(
        "expected a channel's number, words as '12 - 0.5*7', a direction as an array, or an "
        f"Objective, got {wanted!r}."
    )


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
    source = str(record.get("M_source", "photos"))
    objective = from_dict(terms) if weights is None else Direction(weights)
    shape = code_shape(representation)
    grid = record.get("canvas")
    if grid is not None:
        channels = [Channel(index) for index in grid["channels"]]
        goals = [
            Goal(each, each.weights(shape), float(m), source)
            for each, m in zip(channels, grid["M"], strict=True)
        ]
        found = Job(representation, settings, seed, 1, callbacks).on_one_canvas(goals)
        return found[channels.index(objective)]  # type: ignore[arg-type]
    goal = Goal(objective, objective.weights(shape), M, source)
    if not settings.diversity:
        return Job(representation, settings, seed, 1, callbacks).in_batches([goal])[0]
    # Restarts that push each other apart can't be had one by one.
    restart, restarts = int(record["restart"]), int(record["restarts"])
    job = Job(representation, settings, seed - restart, restarts, callbacks)
    return job.in_batches([goal])[restart]
