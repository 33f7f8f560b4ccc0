"""Fig. 8: how much prior makes pre-images easier to understand, from people's votes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from preimage.errors import PreimageError, UsageError
from preimage.experiments import plots
from preimage.experiments.cases import Finished
from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import Setting, layer_of, pre_images, selected, with_weights
from preimage.experiments.sheets import reference_tile, tile
from preimage.experiments.statistics import estimate
from preimage.experiments.tables import Column, Row, percent
from preimage.files import printable
from preimage.images import contact_sheet
from preimage.search.result import RECORD
from preimage.study import Study, Tally, cast_votes, load_study, make_study, tally
from preimage.study.figure import figure as bars
from preimage.study.manifest import VOTES
from preimage.study.tally import Row as Share

MODEL, PRESET = "alexnet", "paper"
LAYERS = ("pool1", "relu3", "pool5", "fc8")
"""The paper's, mpool1, relu3, mpool5 and fc8, by our names."""

NO_PRIOR, WEAK, STRONG = "no prior", "C = 100", "C = 1"
FIDELITIES: Mapping[str, float] = {NO_PRIOR: 1e8, WEAK: 100.0, STRONG: 1.0}
"""C = ∞ is no weight that can be computed with. At 1e8 a prior of 100 weighs as much as a loss of
1e-6, and the step rule of the preset `paper` divides by the gradient's own size: what is searched
is the loss alone, inside the ball of possible colours."""

STUDY = "study"
"""Folder of the study under the output folder."""

SHOWN_PHOTOS = 2
"""On the sheet that stands for the figure until there are votes."""

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 8 and Sect. 5.2.3; the bars are printed, not their "
    "values; 25 photos, 13 subjects",
    "fraction": "at least a small amount of regularization is always preferable for "
    "interpretability. Furthermore, strong regularization is highly desirable for very deep "
    "layers.",
}

COLUMNS = (
    Column("layer", "layer"),
    Column("setting", "setting", printable),
    Column("relative_error", "relative error", percent),
    Column("count", "photos"),
    Column("won", "preferred"),
    Column("shown", "of votes"),
    Column("fraction", "share", percent),
    Column("lowest", "from", percent),
    Column("highest", "to", percent),
)


@dataclass(frozen=True)
class _Made:
    """The pre-images of one setting at one layer."""

    setting: str
    layer: str
    cases: Sequence[Finished]


def figure8(request: Request) -> Report:
    """Votes by layer and setting, beside the errors; before there are votes, what is voted on."""
    if request.study is not None:
        _refuse_what_the_study_settles(request)
    made = [] if request.study is not None else _made(request)
    folder = request.study or request.out / STUDY
    if made:
        _prepare(folder, made, request.seed)
    study = load_study(folder)
    counted = tally(study, cast_votes(study))
    rows = tuple(_row(share, study, made) for share in counted.rows)
    cases = tuple(done for each in made for done in each.cases)
    figures: dict[str, Image.Image | Figure] = {"study": _sheet(made)} if made else {}
    if counted.counted:
        with plots.style():
            figures["figure8"] = bars(counted)
    votes = {"votes": counted.votes, "counted": counted.counted, "subjects": len(counted.subjects)}
    return Report(rows, votes, cases, figures, _notes(request, folder, counted, made))


def _refuse_what_the_study_settles(request: Request) -> None:
    for option in ("photos", "model", "layers", "iterations"):
        if getattr(request, option) is not None:
            raise UsageError(f"--study has its pictures already: leave --{option} out.")


def _made(request: Request) -> list[_Made]:
    """The pre-images that are compared: layer by layer, every setting."""
    model = request.model or MODEL
    there = with_weights(model)
    layers = selected(model, request)
    if request.layers is None and set(LAYERS) & set(there):
        layers = tuple(layer for layer in LAYERS if layer in there)
    made = []
    for layer in layers:
        phi = layer_of(request, model, layer)
        for name, fidelity in FIDELITIES.items():
            setting = Setting(phi, PRESET, {"fidelity": fidelity})
            made.append(_Made(name, layer, pre_images(request, setting, request.sample.targets)))
    return made


def _prepare(folder: Path, made: Sequence[_Made], seed: int) -> None:
    """A study of the pre-images; one that people have voted on stays as it is.

    Raises:
        PreimageError: if those votes are about other pictures.
    """
    with tempfile.TemporaryDirectory() as scratch:
        settings = [Path(scratch) / name for name in FIDELITIES]
        for each in made:
            for done in each.cases:
                place = Path(scratch) / each.setting / done.case.id
                place.mkdir(parents=True)
                for name in (RECORD, "image.png"):
                    shutil.copy(done.folder / name, place)
        if not (folder / VOTES).exists():
            make_study(folder, settings, seed, overwrite=folder.exists())
            return
        wanted = make_study(Path(scratch) / "wanted", settings, seed).study
    if load_study(folder).items != wanted.items:
        raise PreimageError(
            f"{folder} holds votes on other pictures: count them with --study {folder}, or choose "
            "another --out."
        )


def _row(counted: Share, study: Study, made: Sequence[_Made]) -> Row:
    """A row of the votes, with the error of the pictures where they were made here."""
    cases = [
        done
        for each in made
        if (each.setting, each.layer) == (counted.setting, counted.layer)
        for done in each.cases
    ]
    error = estimate([done.relative_error for done in cases]) if cases else None
    low, high = counted.interval or (None, None)
    items = [i for i in study.items if (i.model, i.layer) == (counted.model, counted.layer)]
    return {
        "model": counted.model,
        "layer": counted.layer,
        "setting": counted.setting,
        "preset": cases[0].record["settings"]["preset"] if cases else None,
        "fidelity": cases[0].record["settings"]["fidelity"] if cases else None,
        "count": len(items),
        "relative_error": error.mean if error else None,
        "interval": error.interval if error else None,
        "won": counted.won,
        "shown": counted.shown,
        "fraction": counted.fraction,
        "lowest": low,
        "highest": high,
    }


def _sheet(made: Sequence[_Made]) -> Image.Image:
    """The first photos at every layer: a row a layer and photo, a column a setting."""
    tiles = []
    for layer in dict.fromkeys(each.layer for each in made):
        here = [each for each in made if each.layer == layer]
        for photo in range(min(SHOWN_PHOTOS, len(here[0].cases))):
            tiles.append(reference_tile(here[0].cases[photo]))
            tiles += [tile(each.cases[photo], f"{layer}, {each.setting}") for each in here]
    footer = f"preset {PRESET}: which of the three is easier to understand?"
    return contact_sheet(tiles, columns=1 + len(FIDELITIES), footer=footer, tile_height=180)


def _notes(
    request: Request, folder: Path, counted: Tally, made: Sequence[_Made]
) -> tuple[str, ...]:
    missing = [layer for layer in LAYERS if made and layer not in {each.layer for each in made}]
    notes = []
    if missing and request.model is None and request.layers is None:
        notes.append(f"these weights have no {', '.join(missing)}, which the paper asks about too")
    if not counted.counted:
        notes.append(
            f"no vote counts yet: serve it with `preimage study serve {printable(folder)}`, then "
            "give the same command again"
        )
    return tuple(notes)
