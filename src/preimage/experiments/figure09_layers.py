"""Figs. 9-11: one photo inverted from every layer of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from preimage.experiments.experiment import QUICK, Report, Request
from preimage.experiments.inverting import (
    Setting,
    layer_of,
    photos_called,
    pre_images,
    selected,
)
from preimage.experiments.rows import mean_row
from preimage.experiments.sheets import sheet
from preimage.experiments.tables import Column, number, percent

PHOTO = "red_fox"
PRESET = {"quick": "quick", "paper": "best"}

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Figs. 9-11 and Sect. 5.2.4",
    "pictures": "The first few layers of all the networks compute a code of the image that is "
    "nearly exactly invertible. All the layers prior to the fully-connected ones preserve "
    "instance-specific details of the image, although with increasing fuzziness.",
}

COLUMNS = (
    Column("layer", "layer"),
    Column("fidelity", "C", number),
    Column("jitter", "jitter"),
    Column("relative_error", "relative error", percent),
    Column("seconds", "s", number),
)

VGG_M = (
    "the paper's Fig. 10 shows VGG-M; its weights are not in the table of weights with a source "
    "that is always there, so efficientnet-lite0 stands in: --model vgg-m.matconvnet where you "
    "have them"
)


def layers_figure(name: str, model: str, note: str = "") -> Callable[[Request], Report]:
    """The experiment for a figure: its name, the network it shows, and what to say about that."""

    def run(request: Request) -> Report:
        chosen = request.model or model
        preset = request.preset or PRESET[request.scale]
        targets = photos_called(request, PHOTO)
        found = [
            pre_images(request, Setting(layer_of(request, chosen, layer), preset), targets)[0]
            for layer in selected(chosen, request)
        ]
        rows = tuple({**mean_row([done]), "case": done.case.id} for done in found)
        titles = [str(done.record["representation"]["layer"]) for done in found]
        columns = 4 if request.scale == QUICK else 6
        footer = f"{chosen}, preset {preset}: each picture is made from one layer's code alone"
        figure = sheet(found, titles, columns, footer, photo=True)
        notes = (note,) if note and request.model is None else ()
        return Report(rows, {}, tuple(found), {name: figure}, notes)

    return run
