"""Figs. 13 and 14: pre-images of parts of a code, its centre and halves of its channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import Setting, layer_of, photos_called, pre_images
from preimage.experiments.rows import mean_row
from preimage.experiments.sheets import reference_tile, tile
from preimage.experiments.tables import Column, percent
from preimage.images import Tile, as_picture, contact_sheet
from preimage.recipes import settings_for
from preimage.recipes.inversion import box_of, code_shape, groups_of, mask_for
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.result import boxed

MODEL = "alexnet"
LAYERS, FIRST_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5"), ("conv1", "pool1", "conv2")
PRESET = {"quick": "quick", "paper": "best"}
NEIGHBOURHOOD = 5

LOCALITY: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 13 and Sect. 5.2.7, on CaffeNet",
    "pictures": "The regularizer encourages portions of the image that do not contribute to the "
    "neural responses to be switched off. [...] the effective receptive field of the neurons is in "
    "some cases significantly smaller than the theoretical one shown as a red box in the image.",
}
STREAMS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 14 and Sect. 5.2.7, on CaffeNet",
    "pictures": "one group is tuned towards color information, whereas the second one is tuned "
    "towards sharper edges and luminance components",
}

COLUMNS = (
    Column("layer", "layer"),
    Column("part", "part of the code"),
    Column("relative_error", "relative error", percent),
)

STAND_IN = (
    "the paper shows CaffeNet, whose weights are not always there, so alexnet stands in: --model "
    "caffenet where you have them"
)
ONE_STREAM = (
    "the two streams are CaffeNet's, whose first layers have two groups of filters; in another "
    "network the halves of the channels are no streams: --model caffenet where you have its weights"
)


def figure13(request: Request) -> Report:
    """One photo from the central 5x5 cells of each layer, what they can see marked."""
    found, tiles = list[Finished](), []
    for layer in request.layers or LAYERS:
        phi = layer_of(request, request.model or MODEL, layer)
        done = _pre_image(request, phi, "monkey", neighbourhood=NEIGHBOURHOOD)
        tiles.append(marked(tile(done, layer), phi))
        found.append(done)
    part = f"central {NEIGHBOURHOOD}x{NEIGHBOURHOOD} cells"
    footer = f"{request.model or MODEL}, {part}; the red box is what they see, unless that is all"
    notes = (STAND_IN,) if request.model is None else ()
    return Report(
        rows=tuple(_row(done, part) for done in found),
        cases=tuple(found),
        figures={
            "figure13": contact_sheet([reference_tile(found[0]), *tiles], columns=3, footer=footer)
        },
        notes=notes,
    )


def figure14(request: Request) -> Report:
    """One photo from the first and from the second half of each layer's channels."""
    model, layers = request.model or MODEL, request.layers or FIRST_LAYERS
    found, rows, tiles = list[Finished](), [], []
    for half in (0, 1):
        for layer in layers:
            phi = layer_of(request, model, layer)
            first, last = groups_of(code_shape(phi)[0], 2)[half]
            done = _pre_image(request, phi, "abstract", channels=(first, last))
            found.append(done)
            rows.append(_row(done, f"channels {first}:{last}"))
            tiles.append(tile(done, f"{layer}, channels {first}:{last}"))
        # The photo stands before the upper row, and holds its place before the lower.
        tiles.insert(-len(layers), reference_tile(found[0]))
    footer = f"{model}; upper row: the first half of the channels, lower row: the second"
    figure = contact_sheet(tiles, columns=1 + len(layers), footer=footer)
    notes = (ONE_STREAM,) if request.model is None else ()
    return Report(tuple(rows), cases=tuple(found), figures={"figure14": figure}, notes=notes)


def _pre_image(request: Request, phi: Representation, photo: str, **part: Any) -> Finished:
    setting = Setting(phi, request.preset or PRESET[request.scale], part)
    (done,) = pre_images(request, setting, photos_called(request, photo))
    return done


def marked(plain: Tile, phi: Representation) -> Tile:
    """A tile with a box around what the central cells of a layer can see, unless that is all."""
    settings = settings_for(phi, neighbourhood=NEIGHBOURHOOD)
    mask = mask_for(settings, torch.zeros(1, *code_shape(phi)))
    if mask is None or phi.geometry is None:
        return plain
    box = box_of(mask, phi.geometry, view_for(phi))
    return plain if box is None else replace(plain, image=boxed(as_picture(plain.image), box))


def _row(done: Finished, part: str) -> dict[str, Any]:
    return {**mean_row([done]), "part": part, "case": done.case.id}
