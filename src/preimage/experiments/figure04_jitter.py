"""Fig. 4: what jitter does to the image that a class's score likes best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import layer_of
from preimage.experiments.maximizing import (
    classes,
    estimated,
    maximization_row,
    maximized,
    probability,
    scores_of,
)
from preimage.experiments.tables import Column, number
from preimage.images import Tile, contact_sheet

MODEL, CLASS = "efficientnet-lite0", "tree frog"
RESTARTS = {"quick": 1, "paper": 2}

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 4 and Sect. 3.2.3, on AlexNet's fc8",
    "caption": 'Effect of the jitter regularizer in activation maximization for the "tree frog" '
    "neuron [...]. Jitter helps recover larger and crisper image structures.",
}

COLUMNS = (
    Column("preset", "preset"),
    Column("jitter", "jitter"),
    Column("seed", "seed"),
    Column("activation", "activation", number),
    Column("probability", "probability", number),
    Column("prior", "prior terms", number),
)

NO_CLASSES = (
    "the paper's Fig. 4 shows AlexNet; the weights of AlexNet that are always there hold no "
    "classifier, so efficientnet-lite0 stands in: --model alexnet where you have its fc8"
)


def figure4(request: Request) -> Report:
    """One class by the published settings without and with jitter, and by `best`."""
    model, restarts = request.model or MODEL, RESTARTS[request.scale]
    phi = layer_of(request, model, scores_of(model))
    variants: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("paper, no jitter", "paper", {"jitter": 1}),
        ("paper, jitter {}", "paper", {}),
        ("best", "best", {}),
    )
    shown = []
    for title, preset, change in variants:
        done = maximized(request, phi, classes((CLASS,)), preset, restarts, **change)
        shown.append((title.format(done[0].record["settings"]["jitter"]), done))
    found = [each for _, done in shown for each in done]
    tiles = [_tile(done[i], title) for i in range(restarts) for title, done in shown]
    footer = f'{phi.name}, class "{CLASS}"; a row a seed. "best" sees random views.'
    return Report(
        rows=tuple(maximization_row(each) for each in found),
        cases=tuple(found),
        figures={"figure4": contact_sheet(tiles, columns=len(variants), footer=footer)},
        notes=(*((NO_CLASSES,) if request.model is None else ()), *estimated(found)),
    )


def _tile(done: Finished, title: str) -> Tile:
    return Tile(done.picture(), title, probability(done))
