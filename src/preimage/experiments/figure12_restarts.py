"""Fig. 12: several pre-images of the same code; what differs is what the layer leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import Setting, layer_of, photos_called, pre_images
from preimage.experiments.rows import mean_row
from preimage.experiments.sheets import reference_tile, tile
from preimage.experiments.tables import Column, percent
from preimage.images import contact_sheet

PHOTOS = ("spoonbill", "abstract", "monkey")
RESTARTS = 4
SHOWN: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "quick": ("efficientnet-lite0", ("block08", "block16"), "quick"),
    "paper": ("vgg16", ("conv4_1", "conv5_2"), "best"),
}
"""Network, layers and preset at each scale."""

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 12 and Sect. 5.2.5; its third layer is fc7",
    "pictures": "A careful examination of these images reveals that the codes capture "
    "progressively larger deformations of the object.",
}

COLUMNS = (
    Column("photo", "photo"),
    Column("layer", "layer"),
    Column("seed", "seed"),
    Column("relative_error", "relative error", percent),
)


def figure12(request: Request) -> Report:
    """Four pre-images of three photos at each layer, a row for a photo and a layer."""
    model, layers, preset = SHOWN[request.scale]
    model, preset = request.model or model, request.preset or preset
    targets = photos_called(request, *PHOTOS)
    tiles, found = [], list[Finished]()
    for layer in request.layers or layers:
        setting = Setting(layer_of(request, model, layer), preset)
        done = pre_images(request, setting, targets, RESTARTS)
        for start in range(0, len(done), RESTARTS):
            row = done[start : start + RESTARTS]
            tiles.append(reference_tile(row[0]))
            tiles += [tile(each, f"{layer}, seed {each.record['seed']}") for each in row]
        found += done
    rows = tuple(
        {
            "photo": done.case.target.name,
            **mean_row([done]),
            "seed": done.record["seed"],
            "case": done.case.id,
        }
        for done in found
    )
    footer = f"{model}, preset {preset}: the same code, four starts"
    figure = contact_sheet(tiles, columns=1 + RESTARTS, footer=footer, tile_height=180)
    return Report(rows, {}, tuple(found), {"figure12": figure})
