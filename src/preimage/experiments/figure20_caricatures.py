"""Figs. 20 and 21: photos with what a layer sees in them exaggerated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from preimage.experiments.cases import Case, Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import layer_of, photos_called, selected
from preimage.experiments.methods import Caricature
from preimage.experiments.photos import PhotoTarget
from preimage.experiments.rows import case_row
from preimage.experiments.sheets import reference_tile, sheet, tile
from preimage.experiments.tables import Column, number
from preimage.images import contact_sheet
from preimage.recipes.caricature import caricature_settings

MODEL, LAST = "efficientnet-lite0", "logits"
PHOTO = "red_fox"
PHOTOS = {
    "quick": ("red_fox", "monkey", "spoonbill"),
    "paper": ("red_fox", "monkey", "spoonbill", "gong", "building", "abstract"),
}
LAYERS = {"quick": ("block05", "block11", LAST), "paper": ("block05", "block08", "block11", LAST)}
PRESET = {"quick": "quick", "paper": "best"}

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Figs. 20 and 21 and Sect. 7",
    "pictures": "Applied to the first block of layers, the procedure simply saturates the color. "
    "conv2 appears to be tuned to long, linear structures, conv4 to round ones, and conv5 to the "
    "head (part) of the fox. The fully connected layers generate mixtures of fox heads, including "
    "hallucinating several in the background",
}

COLUMNS = (
    Column("photo", "photo"),
    Column("layer", "layer"),
    Column("growth", "activations, times the photo's", number),
    Column("seconds", "s", number),
)

VGG_M = (
    "the paper shows VGG-M and VGG-VD-16; the weights of theirs that are always there end before "
    "the fully connected layers, so efficientnet-lite0 stands in: --model vgg-m.matconvnet where "
    "you have them"
)


def figure20(request: Request) -> Report:
    """One photo's caricatures from the layers of a network."""
    model, targets = request.model or MODEL, photos_called(request, PHOTO)
    layers = [*selected(model, request)]
    if model == MODEL and request.layers is None and LAST not in layers:
        layers.append(LAST)
    found = [done for layer in layers for done in _caricatures(request, model, layer, targets)]
    figure = sheet(found, layers, columns=4, footer=_footer(request, model), photo=True)
    return _report(request, found, {"figure20": figure})


def figure21(request: Request) -> Report:
    """Several photos' caricatures from several layers, a row for each photo."""
    model = request.model or MODEL
    targets = photos_called(request, *PHOTOS[request.scale])
    layers = request.layers or LAYERS[request.scale]
    if request.model is not None and request.layers is None:
        layers = selected(model, request)
    by_layer = [_caricatures(request, model, layer, targets) for layer in layers]
    tiles = []
    for row in zip(*by_layer, strict=True):
        tiles.append(reference_tile(row[0]))
        tiles += [tile(done, layer) for done, layer in zip(row, layers, strict=True)]
    figure = contact_sheet(tiles, columns=1 + len(layers), footer=_footer(request, model))
    return _report(request, [done for found in by_layer for done in found], {"figure21": figure})


def _caricatures(
    request: Request, model: str, layer: str, targets: Sequence[PhotoTarget]
) -> list[Finished]:
    phi = layer_of(request, model, layer)
    settings = caricature_settings(phi, _preset(request), iterations=request.iterations)
    cases = [Case(Caricature(phi, settings), target, request.seed) for target in targets]
    return request.store.finish(cases, f"caricatures of {phi.name}")


def _preset(request: Request) -> str:
    return request.preset or PRESET[request.scale]


def _footer(request: Request, model: str) -> str:
    return f"{model}, preset {_preset(request)}: each from one layer, beginning with the photo"


def _report(request: Request, found: Sequence[Finished], figures: Mapping[str, Any]) -> Report:
    rows = tuple(
        case_row(done, photo=done.case.target.name, growth=done.record["growth"]) for done in found
    )
    notes = (VGG_M,) if request.model is None else ()
    return Report(rows, cases=tuple(found), figures=figures, notes=notes)
