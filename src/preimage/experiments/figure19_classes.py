"""Fig. 19: the images that a network takes for a class, for four classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from preimage.experiments.cases import Finished
from preimage.experiments.experiment import QUICK, Report, Request
from preimage.experiments.figure04_jitter import MODEL
from preimage.experiments.inverting import layer_of
from preimage.experiments.maximizing import (
    classes,
    estimated,
    maximization_row,
    maximized,
    probability,
    scores_of,
)
from preimage.experiments.tables import Column, number, percent
from preimage.images import Tile, contact_sheet

CLASSES = ("tree frog", "black swan", "goose", "vending machine")
PRESETS = {"quick": ("best",), "paper": ("paper", "best")}
QUICK_ITERATIONS = 128

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 19 and Sect. 6.2, on AlexNet, VGG-M and VGG-VD-16",
    "pictures": "in all cases it is easy to identify several parts or even instances of the target "
    "object class. However, reconstructions are fragmented and scrambled, indicating that the "
    "representations are highly invariant to occlusions and pose changes.",
}

COLUMNS = (
    Column("objective", "class"),
    Column("preset", "preset"),
    Column("activation", "activation", number),
    Column("probability", "probability", percent),
    Column("rank", "rank"),
)

NO_CLASSES = (
    "the paper shows AlexNet, VGG-M and VGG-VD-16; the weights of theirs that are always there "
    "hold no classifier, so efficientnet-lite0 stands in: --model alexnet where you have its fc8"
)


def figure19(request: Request) -> Report:
    """Four classes in a row, a row for each preset."""
    model = request.model or MODEL
    phi = layer_of(request, model, scores_of(model))
    fewer = {"iterations": QUICK_ITERATIONS} if request.scale == QUICK else {}
    found = list[Finished]()
    for preset in (request.preset,) if request.preset else PRESETS[request.scale]:
        found += maximized(request, phi, classes(CLASSES), preset, **fewer)
    tiles = [Tile(done.picture(), done.case.target.name, _caption(done)) for done in found]
    figure = contact_sheet(tiles, columns=len(CLASSES), footer=phi.name)
    return Report(
        rows=tuple(maximization_row(done) for done in found),
        cases=tuple(found),
        figures={"figure19": figure},
        notes=(*((NO_CLASSES,) if request.model is None else ()), *estimated(found)),
    )


def _caption(done: Finished) -> str:
    return f"preset {done.record['settings']['preset']}, {probability(done)}"
