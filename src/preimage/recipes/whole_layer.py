"""Many maximizations into one folder, each written when it is found, so that a run can go on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from preimage.errors import PreimageError
from preimage.files import obstacle, printable, replacing, safe_name
from preimage.images import Tile
from preimage.recipes.inversion import code_shape
from preimage.recipes.maxima import Maxima, known_maxima
from preimage.recipes.maximization import Wanted, as_objective, maximize
from preimage.recipes.maximization_goals import Goal, goals_of
from preimage.recipes.maximization_search import per_search
from preimage.recipes.objectives import Channel, Label, Objective
from preimage.recipes.records import describe, headline
from preimage.recipes.settings import MaximizationSettings
from preimage.representations import Representation
from preimage.search.result import RECORD, caption_of, load_record, mosaic, of_restart

FIGURE = "figure.png"


def maximize_into(
    folder: str | Path,
    representation: Representation,
    objectives: Sequence[Wanted],
    *,
    settings: MaximizationSettings,
    maxima: Maxima | None = None,
    layout: str = "batch",
    seed: int = 0,
    restarts: int = 1,
    **options: Any,
) -> list[dict[str, Any]]:
    """Maximize every objective that the folder does not hold yet, then make the mosaic of all.

    Unlike `maximize`, which gives results, this leaves each in a folder of its own as soon as it
    is found: what an interrupted run has found is not searched again.

    Args:
        folder: where the results go; it may hold some of them.
        representation, maxima, layout, seed, restarts: see `maximize`.
        objectives: what is maximized, each by itself.
        settings: whole settings; what the folder holds must have been made with them.
        options: more of `maximize`'s: `callbacks`.

    Returns:
        The records, objective by objective.

    Raises:
        PreimageError: if the folder holds results of another search, or can't be written, or a
            channel is dead: before anything is searched.

    Example:
        >>> settings = maximization_settings_for(phi, is_map=True)           # doctest: +SKIP
        >>> maximize_into("conv5", phi, range(256), settings=settings)       # doctest: +SKIP
    """
    place = Path(folder)
    if (why := obstacle(place / RECORD)) is not None:
        raise PreimageError(f"{printable(place)} can't be written: {why}. Choose another --out.")
    shape = code_shape(representation)
    maxima = known_maxima(representation) if maxima is None else maxima
    asked = [as_objective(each) for each in objectives]
    goals = goals_of(asked, representation, shape, maxima)
    wanted = {_key(*pair): pair for pair in zip(asked, goals, strict=True)}
    common = {
        "representation": describe(representation, torch.empty(shape, device="meta")),
        "weights": asdict(representation.weights) if representation.weights else None,
        "settings": settings.to_dict(),
        "seed": seed,
        "restarts": restarts,
        "layout": layout,
    }
    missing = [
        key
        for key, (_, goal) in wanted.items()
        if not _is_there(place, key, restarts, common, goal.M)
    ]
    at_once = per_search(representation, layout, restarts)
    for first in range(0, len(missing), at_once):
        chunk = missing[first : first + at_once]
        found = maximize(
            representation,
            [wanted[key][0] for key in chunk],
            settings=settings,
            maxima=maxima,
            layout=layout,
            seed=seed,
            restarts=restarts,
            **options,
        )
        assert isinstance(found, list)
        for number, result in enumerate(found):
            home = _home(place, chunk[number // restarts], number % restarts)
            if not (home / RECORD).is_file():  # some restarts may have been found before
                result.save(home)
    homes = [_home(place, key, restart) for key in wanted for restart in range(restarts)]
    records = [load_record(home) for home in homes]
    with replacing(place / FIGURE) as temporary:
        mosaic([_tile(*pair) for pair in zip(homes, records, strict=True)]).save(temporary)
    return records


def _home(place: Path, key: str, restart: int) -> Path:
    return place / f"{key}-restart{restart}"


def _key(objective: Objective, goal: Goal) -> str:
    """What a result's folder begins with: a channel or a class as it is typed, else words and a
    digest of the weights, because others may come out as the same words."""
    typed = str(objective).strip('"')
    words = safe_name(typed)
    if isinstance(objective, Channel | Label) and words == typed:
        return words
    return f"{words}-{hashlib.sha256(goal.weights.numpy().tobytes()).hexdigest()[:8]}"


def _is_there(place: Path, key: str, restarts: int, same: dict[str, Any], M: float) -> bool:
    """Whether all restarts of an objective are there, made as they would be made now."""
    homes = [_home(place, key, restart) for restart in range(restarts)]
    there = [home for home in homes if (home / RECORD).is_file()]
    for home in there:
        record = load_record(home)
        record["layout"] = "canvas" if record.get("canvas") else "batch"
        for name, value in same.items():
            if record.get(name) != value:
                raise PreimageError(
                    f"{printable(home)} was made with other {name}: choose another folder, or the "
                    "options of the run that is to go on."
                )
        # M of an estimate depends on the device in its last digits.
        if not math.isclose(then := record.get("M", math.nan), M, rel_tol=1e-3):
            raise PreimageError(
                f"{printable(home)} was made with M = {then:.4g}, now it is {M:.4g}: give "
                "the --photos it was made with, or choose another folder."
            )
    return len(there) == restarts


def _tile(home: Path, record: dict[str, Any]) -> Tile:
    with Image.open(home / "image.png", formats=["PNG"]) as image:
        image.load()
    named = record["class"]["label"] if record["class"] else record["objective"]["words"]
    tile = Tile(image, named, caption_of(headline(record)))
    return of_restart(tile, record) if record["restarts"] > 1 else tile
