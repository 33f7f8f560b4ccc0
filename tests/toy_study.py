"""Folders of made-up results to make studies of."""

from __future__ import annotations

import json
from pathlib import Path

from toys import SIDE, made_result, picture

SETTINGS = ("paper", "best", "quick")
LAYERS = (("relu1", 7), ("relu2", 31))
PHOTOS = ("cat.jpg", "dog.jpg", "fox.jpg")


def write_result(
    folder: Path, layer: str, field: int | None, photo: str, look: int, **record: object
) -> None:
    """A result folder that no search has made; `look` chooses its picture."""
    content = made_result(
        image={"path": f"/photos/{photo}", "sha256": photo.ljust(64, "0")},
        representation={"model": "toy", "layer": layer, "receptive_field": field},
        **record,
    ).record
    # The whole folder would also hold a figure, which takes longer than all the rest.
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(content))
    picture(look, SIDE, SIDE).save(folder / "image.png")


def setting_folders(place: Path) -> list[Path]:
    """A folder for each of three settings, with results of two layers and three photos."""
    look = 0
    for setting in SETTINGS:
        for layer, field in LAYERS:
            for photo in PHOTOS:
                look += 1
                write_result(place / setting / layer / photo, layer, field, photo, look)
    return [place / setting for setting in SETTINGS]
