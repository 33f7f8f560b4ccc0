"""What the experiments on maximization share: images of channels and classes as cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from preimage.errors import UsageError
from preimage.experiments.cases import Case, Finished
from preimage.experiments.experiment import QUICK, Request
from preimage.experiments.methods import Maximization, Wanted
from preimage.experiments.rows import case_row
from preimage.experiments.tables import Column, Value, number
from preimage.models import catalogue as models
from preimage.recipes import Channel, Label, Objective, maximization_settings_for
from preimage.recipes.inversion import code_shape
from preimage.recipes.maximization_grid import Grid
from preimage.representations import Representation

QUICK_ITERATIONS = 64

COLUMNS = (
    Column("layer", "layer"),
    Column("objective", "maximized"),
    Column("preset", "preset"),
    Column("seed", "seed"),
    Column("activation", "activation", number),
    Column("ratio", "activation / M", number),
)


def maximized(
    request: Request,
    representation: Representation,
    objectives: Sequence[Objective],
    preset: str,
    restarts: int = 1,
    **overrides: Any,
) -> list[Finished]:
    """Images of objectives, objective by objective, restart by restart.

    Channels share a canvas where the layer sees little enough of the image: that is much faster.
    """
    if request.iterations is not None:
        overrides["iterations"] = request.iterations
    is_map = len(code_shape(representation)) == 3
    settings = maximization_settings_for(representation, preset, is_map=is_map, **overrides)
    together = _together(representation, objectives)
    method = Maximization(representation, settings, together)
    cases = [
        Case(method, Wanted(objective), request.seed + restart)
        for restart in range(restarts)
        for objective in objectives
    ]
    store = replace(request.store, batch=len(objectives)) if together else request.store
    found = store.finish(cases, f"{representation.name} by {preset}")
    count = len(objectives)
    return [found[restart * count + i] for i in range(count) for restart in range(restarts)]


def quickly(request: Request) -> dict[str, Any]:
    """Fewer iterations at the scale `quick`."""
    return {"iterations": QUICK_ITERATIONS} if request.scale == QUICK else {}


def channels_of(representation: Representation, count: int) -> list[Objective]:
    """The first channels of a layer, or all it has."""
    return [Channel(index) for index in range(min(count, code_shape(representation)[0]))]


def scores_of(model: str) -> str:
    """The layer of a model's class scores.

    Raises:
        UsageError: if it has no classes with names.
    """
    layer = models.resolve(model).architecture.scores
    if layer is None:
        raise UsageError(f"{model} has no classes with names: choose another --model.")
    return layer


def maximization_row(done: Finished) -> dict[str, Value]:
    """A row for one image."""
    record = done.record
    score = record["class"] or {"probability": None, "rank": None}
    return case_row(
        done,
        objective=done.case.target.name,
        **{name: record[name] for name in ("activation", "M", "ratio")},
        **{name: score[name] for name in ("probability", "rank")},
    )


def probability(done: Finished) -> str:
    """What the network says of an image of a class, in words."""
    score = done.record["class"]
    return f"probability {score['probability']:.2g}, rank {score['rank']}"


def estimated(found: Sequence[Finished]) -> tuple[str, ...]:
    """What the records say about their M, each note once."""
    warnings = (warning for done in found for warning in done.record["warnings"])
    return tuple(dict.fromkeys(warnings))


def _together(representation: Representation, objectives: Sequence[Objective]) -> tuple[int, ...]:
    channels = [each.index for each in objectives if isinstance(each, Channel)]
    if len(channels) < len(objectives):
        return ()
    try:
        Grid.of(representation)
    except UsageError:
        return ()
    return tuple(channels)


def classes(names: Sequence[str]) -> list[Objective]:
    """Classes by their names."""
    return [Label(name) for name in names]
