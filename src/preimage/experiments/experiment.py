"""What an experiment is: a question, what was asked of it, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from preimage.errors import UsageError, counted
from preimage.experiments.cases import CaseStore, Finished, batch_for
from preimage.experiments.photos import Sample, first_photos
from preimage.experiments.progress import Progress, silent
from preimage.experiments.tables import Column, Row

QUICK, PAPER = "quick", "paper"
SCALES = (QUICK, PAPER)


@dataclass(frozen=True)
class Request:
    """What was asked of an experiment; None where the experiment is to choose.

    Attributes:
        out: folder for the cases and for the report.
        photos: folder of photos.
        count: how many of them.
        scale: `quick` or `paper`.
        model: name of a model.
        layers: names of its layers.
        preset: name of a preset.
        iterations: total of each search, in place of the preset's.
        dictionary: a trained HOGgle dictionary.
        study: folder of a human study.
        models: names of several models.
        layers_per_model: how many layers of each.
        detectors: folder of deformable part models.
        seed: of the searches.
        device: where to compute.
        progress: shows how far it is.
    """

    out: Path
    photos: Path | None = None
    count: int | None = None
    scale: str = QUICK
    model: str | None = None
    layers: tuple[str, ...] | None = None
    preset: str | None = None
    iterations: int | None = None
    dictionary: Path | None = None
    study: Path | None = None
    models: tuple[str, ...] | None = None
    layers_per_model: int | None = None
    detectors: Path | None = None
    seed: int = 0
    device: str = "cpu"
    progress: Progress = field(default=silent, compare=False)

    @property
    def store(self) -> CaseStore:
        """Where its cases are."""
        return CaseStore(self.out, batch_for(self.device), self.progress)

    @cached_property
    def sample(self) -> Sample:
        """The first `count` photos of `photos`.

        Raises:
            UsageError: if no folder of photos was given.
            PreimageError: if it can't be read, or holds fewer.
        """
        if self.photos is None:
            raise UsageError("a folder of photos is needed: give --photos DIR.")
        assert self.count is not None  # chosen before an experiment runs
        return first_photos(self.photos, self.count)


@dataclass(frozen=True)
class Report:
    """The answer of an experiment.

    Attributes:
        rows: measurements, with names of `tables.FIELDS`.
        settings: what they depend on besides the rows' own fields, as JSON.
        cases: the results they were measured on.
        figures: pictures by name; a matplotlib figure is written as PNG and as SVG.
        notes: what a reader should know, a line each.
        counts: what the rows come to, beside them in the record, by name.
    """

    rows: tuple[Row, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    cases: tuple[Finished, ...] = ()
    figures: Mapping[str, Image.Image | Figure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """How large an experiment is at a scale.

    Attributes:
        count: photos, unless `--count` says otherwise; 0 where none are needed.
        minutes: about how long it takes on two cores.
    """

    count: int
    minutes: float


@dataclass(frozen=True)
class Experiment:
    """One question of the paper.

    Attributes:
        name: what the user types: the paper's table or figure.
        question: in one line.
        run: answers it.
        quick, paper: its size at either scale.
        cut: what `quick` leaves out besides photos; empty where that is all.
        takes: fields of `Request` that it understands besides `out`, `scale`, `seed`, `device`.
        columns: of the table on screen.
        says: what the paper prints, as JSON, with the sentence or caption it is taken from.
        optional: folders among `takes` that it can do without.
    """

    name: str
    question: str
    run: Callable[[Request], Report]
    quick: Size
    paper: Size
    cut: str
    takes: tuple[str, ...]
    columns: tuple[Column, ...]
    says: Mapping[str, Any]
    optional: tuple[str, ...] = ()

    def size(self, scale: str) -> Size:
        """Its size at a scale."""
        return self.quick if scale == QUICK else self.paper

    def left_out(self, count: int) -> str:
        """What `quick` with so many photos leaves out, in words; empty if nothing."""
        photos = f"{counted(count, 'photo')} in place of {self.paper.count}"
        fewer = count < self.paper.count
        return "; ".join(part for part in (photos if fewer else "", self.cut) if part)
