"""Table 2 and Fig. 5: how exactly HOG, HOGb and DSIFT are inverted, and how HOG is by HOGgle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from preimage.errors import UsageError, nearest
from preimage.experiments import plots
from preimage.experiments.cases import Case, Finished, Inversion, Method, identity_of
from preimage.experiments.dictionary import CELL, HOGGLE, dictionary_of, of_report
from preimage.experiments.experiment import Report, Request
from preimage.experiments.photos import PhotoTarget
from preimage.experiments.rows import mean_row
from preimage.experiments.tables import Column, Row, number, percent
from preimage.files import printable
from preimage.images import Tile, contact_sheet
from preimage.recipes import encode, settings_for
from preimage.recipes.dictionaries import Dictionary
from preimage.recipes.hoggle import hoggle
from preimage.recipes.views import SIZE, view_for
from preimage.representations import Representation, representation
from preimage.search.result import Result

NATURAL = "natural pre-image"
PRESETS = ("paper", "best")
ILLUSTRATED = 4
"""Photos of the figure."""


@dataclass(frozen=True)
class Entry:
    """A column of the paper's table.

    Attributes:
        method: `HOGgle` or `natural pre-image`.
        descriptor: the paper's name of the code.
        model: ours.
        printed, interval: what the paper prints, fractions.
        as_published: options by which the preset `paper` gets the authors' form of the code.
        difference: what they change, in words.
    """

    method: str
    descriptor: str
    model: str
    printed: float
    interval: float
    as_published: Mapping[str, Any] = field(default_factory=dict)
    difference: str = ""


ENTRIES: tuple[Entry, ...] = (
    Entry(HOGGLE, "HOG", "hog", 0.601, 0.023),
    Entry(
        NATURAL, "HOG", "hog", 0.366, 0.034,
        {"gradient": "exact"},
        "HOG with the preset paper is searched along its exact derivative, with other presets "
        "along that of bilinear bins",
    ),
    Entry(NATURAL, "HOGb", "hogb", 0.116, 0.009),
    Entry(
        NATURAL, "DSIFT", "dsift", 0.094, 0.017,
        {"step": 24, "window": 1.5, "renormalize": False},
        "DSIFT with the preset paper has the form of the authors' program: a descriptor every 24 "
        "pixels, a window of 1.5 bins, clamped values left as they are; with other presets "
        "VLFeat's: every 8 pixels, 2 bins, divided by the norm once more",
    ),
)  # fmt: skip

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Table 2: Average reconstruction error of different "
    "representation inversion methods, applied to HOG and DSIFT. The error bars show the 95% "
    "confidence interval for the mean.",
    "photos": "the first 100 images in the ILSVRC 2012 challenge validation images",
    "relative_error": {
        f"{entry.method}, {entry.descriptor}": entry.printed for entry in ENTRIES
    },
    "seconds": "HOGgle 2-3 s, natural pre-images 60 s on the same CPU",
}  # fmt: skip

COLUMNS = (
    Column("method", "method"),
    Column("descriptor", "code"),
    Column("preset", "preset"),
    Column("count", "photos"),
    Column("relative_error", "relative error", percent),
    Column("interval", "±", percent),
    Column("paper", "the paper's", percent),
    Column("paper_interval", "±", percent),
    Column("prior", "prior terms", number),
    Column("seconds", "s/image", number),
)

PHOTO_COLUMNS = (
    Column("photo", "photo", printable),
    Column("method", "method"),
    Column("descriptor", "code"),
    Column("preset", "preset"),
    Column("relative_error", "relative error", percent),
)


@dataclass(frozen=True)
class Hoggling:
    """HOGgle as a way to make results."""

    representation: Representation
    dictionary: Dictionary

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "task": "invert",
            "method": HOGGLE,
            "representation": identity_of(self.representation),
            "view": view_for(self.representation, SIZE),
            "dictionary": self.dictionary.digest,
        }

    def results(self, targets: Sequence[Any], seed: int) -> Sequence[Result]:
        photos = [target.path for target in targets]
        found = hoggle(self.representation, photos, dictionary=self.dictionary, size=SIZE)
        return found if isinstance(found, list) else [found]


@dataclass(frozen=True)
class Line:
    """A row to measure: an entry with a preset, None for HOGgle, and how it is computed."""

    entry: Entry
    preset: str | None
    method: Method
    representation: Representation

    @property
    def label(self) -> str:
        """As progress and figures name it."""
        preset = "" if self.preset is None else f", {self.preset}"
        return f"{self.entry.descriptor} by {self.entry.method}{preset}"


def table2(request: Request) -> Report:
    """Mean error of every method and code over the photos, beside the paper's."""
    lines, notes = _lines(request)
    found = {line.label: _finish(line, request) for line in lines}
    rows = tuple(_row(line, found[line.label]) for line in lines)
    figures: dict[str, Image.Image | Figure] = {"table2": _chart(rows)}
    for preset in _presets(request):
        shown = [line for line in lines if line.preset in (None, preset)]
        figures[f"figure5-{preset}"] = _rows_of_pictures(shown, found, preset)
    cases = tuple(done for line in lines for done in found[line.label])
    return Report(rows, _settings(lines), cases, figures, notes)


def figure5(request: Request) -> Report:
    """The pictures of Table 2's cases: photo, glyphs, and what each method makes of the code."""
    preset = request.preset or PRESETS[-1]
    request = replace(request, preset=preset)
    lines, notes = _lines(request)
    found = {line.label: _finish(line, request) for line in lines}
    rows = tuple(
        {"photo": done.case.target.name, **_row(line, [done]), "case": done.case.id}
        for line in lines
        for done in found[line.label]
    )
    cases = tuple(done for line in lines for done in found[line.label])
    figure = _rows_of_pictures(lines, found, preset)
    return Report(rows, _settings(lines), cases, {"figure5": figure}, notes)


def _presets(request: Request) -> tuple[str, ...]:
    return PRESETS if request.preset is None else (request.preset,)


def _lines(request: Request) -> tuple[list[Line], tuple[str, ...]]:
    """What is to be measured, and what a reader should know of it."""
    entries = [entry for entry in ENTRIES if request.model in (None, entry.model)]
    if not entries:
        known = nearest(str(request.model), [entry.model for entry in ENTRIES])
        raise UsageError(f"Table 2 has no model {request.model!r}; {known}")
    # Before the dictionary is trained: a preset may be mistyped.
    searched = [
        _searched(entry, preset, request)
        for preset in _presets(request)
        for entry in entries
        if entry.method == NATURAL
    ]
    published = "paper" in _presets(request)
    notes = [entry.difference for entry in entries if published and entry.difference]
    first = []
    if any(entry.method == HOGGLE for entry in entries):
        hog = representation("hog", cell=CELL).to(request.device)
        dictionary, note = dictionary_of(request)
        first = [Line(entries[0], None, Hoggling(hog, dictionary), hog)]
        notes.insert(0, note)
    order = {entry.descriptor: place for place, entry in enumerate(ENTRIES)}
    searched.sort(key=lambda line: order[line.entry.descriptor])
    return first + searched, tuple(notes)


def _searched(entry: Entry, preset: str, request: Request) -> Line:
    options = dict(entry.as_published) if preset == "paper" else {}
    phi = representation(entry.model, cell=CELL, **options).to(request.device)
    settings = settings_for(phi, preset, view=view_for(phi, SIZE), iterations=request.iterations)
    return Line(entry, preset, Inversion(phi, settings, SIZE), phi)


def _finish(line: Line, request: Request) -> list[Finished]:
    # HOGgle draws nothing: its cases are the same for all seeds.
    seed = 0 if line.preset is None else request.seed
    cases = [Case(line.method, target, seed) for target in request.sample.targets]
    return request.store.finish(cases, line.label)


def _row(line: Line, found: Sequence[Finished]) -> Row:
    entry = line.entry
    return {
        "method": entry.method,
        "descriptor": entry.descriptor,
        **mean_row(found),
        "paper": entry.printed,
        "paper_interval": entry.interval,
    }


def _settings(lines: Sequence[Line]) -> Mapping[str, Any]:
    used = [line.method.dictionary for line in lines if isinstance(line.method, Hoggling)]
    return {"size": SIZE, "dictionary": of_report(used[0]) if used else None}


def _chart(rows: Sequence[Row]) -> Figure:
    labels = [
        f"{row['descriptor']}, preset {row['preset']}" if row["preset"] else str(row["method"])
        for row in rows
    ]
    values, halves, printed = (
        [None if row[name] is None else 100 * float(row[name] or 0) for row in rows]
        for name in ("relative_error", "interval", "paper")
    )
    with plots.style():
        figure, (axes,) = plots.grid(size=(6.0, 1.0 + 0.34 * len(rows)))
        plots.beside_the_paper(axes, labels, [value or 0.0 for value in values], halves, printed)
        axes.set_xlabel("relative error, %")
        plots.legend(figure)
    return figure


def _rows_of_pictures(
    lines: Sequence[Line], found: Mapping[str, Sequence[Finished]], preset: str
) -> Image.Image:
    """Fig. 5: a row a photo; the contrast of every pre-image is stretched, as the paper's is."""
    hog = representation("hog", cell=CELL)
    tiles: list[Tile] = []
    photos = [done.case.target for done in found[lines[0].label]][:ILLUSTRATED]
    for row, photo in enumerate(photos):
        assert isinstance(photo, PhotoTarget)
        first = row == 0
        original = found[lines[0].label][row].picture("reference.png")
        glyphs = hog.draw(encode(hog, photo.path, SIZE)[0])
        assert glyphs is not None  # HOG has glyphs
        tiles += [
            Tile(original, "original" if first else "", photo.name),
            Tile(glyphs, "HOG glyphs" if first else "", "the code, one glyph a cell"),
        ]
        for line in lines:
            done = found[line.label][row]
            name = line.entry.descriptor if line.preset else line.entry.method
            stretched = ImageOps.autocontrast(done.picture().convert("L"))
            tiles.append(Tile(stretched, name if first else "", percent(done.relative_error)))
    footer = f"Natural pre-images by the preset {preset}. Contrast of every pre-image stretched."
    return contact_sheet(tiles, columns=2 + len(lines), footer=footer, tile_height=200)
