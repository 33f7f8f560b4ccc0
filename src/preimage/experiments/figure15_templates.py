"""Fig. 15: the images that the HOG templates of deformable part models like best, and HOGgle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ImageOps

from preimage.errors import PreimageError
from preimage.experiments.cases import Case, Finished
from preimage.experiments.dictionary import HOGGLE, dictionary_of, of_report
from preimage.experiments.experiment import Report, Request
from preimage.experiments.methods import ComponentTarget, HoggleTemplating, Templating
from preimage.experiments.rows import case_row
from preimage.experiments.tables import Column, number
from preimage.images import Tile, contact_sheet
from preimage.images.folder import files_in

SHOWN: Mapping[str, int] = {
    "bicycle": 2,
    "bottle": 5,
    "car": 4,
    "motorbike": 2,
    "person": 1,
    "pottedplant": 4,
}
"""The component of each class that the paper shows; of any other class, the first."""

PRESETS = ("paper", "best")

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 15 and Sect. 6.1",
    "pictures": "Compared to HOGgle, activation maximization reconstructs finer details, as can be "
    "noted for parts such as the bicycle wheel and bottle top.",
}

COLUMNS = (
    Column("component", "detector"),
    Column("method", "method"),
    Column("preset", "preset"),
    Column("score", "score", number),
    Column("noise_score", "of noise", number),
    Column("seconds", "s", number),
)

MAXIMIZATION = "maximization"
NO_HOGGLE = (
    "the paper's lower row, HOGgle, is left out: give --dictionary FILE, or --photos DIR to learn "
    "one from"
)


def figure15(request: Request) -> Report:
    """Every detector of a folder, a column each; a row for each preset, and one for HOGgle."""
    assert request.detectors is not None  # checked before an experiment runs
    targets = _components(request.detectors)
    dictionary, note = None, NO_HOGGLE
    if request.dictionary is not None or request.photos is not None:
        dictionary, note = dictionary_of(request)
    found = list[Finished]()
    for preset in (request.preset,) if request.preset else PRESETS:
        method = Templating(preset, request.iterations, request.device)
        cases = [Case(method, target, request.seed) for target in targets]
        found += request.store.finish(cases, f"templates by {preset}")
    if dictionary is not None:
        # HOGgle draws nothing: its cases are the same for all seeds.
        cases = [Case(HoggleTemplating(dictionary, request.device), each) for each in targets]
        found += request.store.finish(cases, "templates by HOGgle")
    footer = (
        "paper: root and parts searched alone, as in the paper; best: all of them in one image. "
        "The contrast of each picture is stretched."
    )
    if dictionary is not None:
        footer = f"{footer} HOGgle: of the positive weights, root and parts alone."
    figure = contact_sheet([_tile(done) for done in found], columns=len(targets), footer=footer)
    return Report(
        rows=tuple(_row(done) for done in found),
        settings={"dictionary": None if dictionary is None else of_report(dictionary)},
        cases=tuple(found),
        figures={"figure15": figure},
        notes=(note,),
    )


def _components(folder: Path) -> list[ComponentTarget]:
    """A component of every detector of a folder.

    Raises:
        PreimageError: if there is no such folder, or it holds none.
    """
    files = [path for path in files_in(folder, "voc-release5's detectors") if path.suffix == ".mat"]
    if not files:
        raise PreimageError(
            f"{folder}: expected detectors of voc-release5, such as bicycle_final.mat, found none."
        )
    classes = [path.stem.removesuffix("_final") for path in files]
    return [
        ComponentTarget.of(path, SHOWN.get(name, 1))
        for path, name in zip(files, classes, strict=True)
    ]


def _tile(done: Finished) -> Tile:
    record = done.record
    caption = f"score {record['score']:.2f}, {record['settings']['preset'] or HOGGLE}"
    # A few extremes would leave little contrast for the rest.
    shown = ImageOps.autocontrast(done.picture().convert("L"), cutoff=0.5)
    return Tile(shown, done.case.target.name, caption)


def _row(done: Finished) -> dict[str, Any]:
    record = done.record
    return case_row(
        done,
        component=done.case.target.name,
        method=HOGGLE if "method" in record else MAXIMIZATION,
        score=record["score"],
        noise_score=record["noise_score"],
    )
